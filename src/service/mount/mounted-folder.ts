import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hasErrno } from '../../dataset/errors.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';

/** Hidden from the trainer, which skips names that begin with a dot (ai-toolkit `toolkit/data_loader.py:437-441`). */
export const RECORD_NAME = '.mount.json';

/** What the trainer and its UI write into a dataset's folder (ai-toolkit; with line numbers in docs/mounting.md). */
const TRAINERS_OWN: ReadonlySet<string> = new Set([
  '.aitk_size.json',
  '_latent_cache',
  '_t_e_cache',
  '_clip_vision_cache',
  '_controls',
  '.thumbs',
]);

const RECORD_FORMAT = 1;
const LOOKS_AT_ONCE = 16;

/** What a mounted folder says of itself, in the words of its JSON. */
export interface MountRecord {
  readonly format: typeof RECORD_FORMAT;
  /** The version that mounted it. */
  readonly trainyard: string;
  readonly dataset_id: string;
  readonly name: string;
  readonly digest: string;
  /** The service's URL, or the data folder. */
  readonly source: string;
  readonly mounted_at: string;
  /** The start of the machine during which all this was written, `null` where that can't be told. */
  readonly boot_id: string | null;
  readonly files: readonly RecordedFile[];
}

export interface RecordedFile {
  /** In the dataset. */
  readonly filename: string;
  /** In the folder. */
  readonly mounted_name: string;
  readonly sha256: string;
  readonly size_bytes: number;
  readonly mtime_ms: number;
}

/** What is under a dataset's name. */
export type FolderState =
  | { readonly state: 'absent' }
  /** Something that we did not make. */
  | { readonly state: 'foreign' }
  | {
      readonly state: 'mounted';
      readonly record: MountRecord;
      /** Files that somebody changed or removed since, by their names in the folder. */
      readonly changed: readonly string[];
      /** Files that are neither ours nor the trainer's; hidden ones are those that the trainer doesn't see. */
      readonly strangers: readonly string[];
      readonly hiddenStrangers: readonly string[];
      /** Files that the machine's sudden end has torn. */
      readonly torn: readonly string[];
    };

/**
 * Looks at a folder. Files count as they were where size and modification time are: reading them all would take as long as
 * mounting them. Only where the machine has been restarted since, and may have lost what it had not written yet, they are
 * read, once.
 */
export async function folderStateOf(folder: string): Promise<FolderState> {
  let names: string[];
  try {
    if (!(await lstat(folder)).isDirectory()) return { state: 'foreign' };
    names = await readdir(folder);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return { state: 'absent' };
    throw error;
  }
  if (names.length === 0) return { state: 'absent' };
  const record = await readRecord(folder);
  if (record === undefined) return { state: 'foreign' };
  const boot = await bootId();
  const isSameBoot = record.boot_id === boot;
  const changed: string[] = [];
  const torn: string[] = [];
  await forEachConcurrent(record.files, LOOKS_AT_ONCE, async (file) => {
    const condition = await conditionOf(join(folder, file.mounted_name), file, isSameBoot);
    if (condition === 'changed') changed.push(file.mounted_name);
    if (condition === 'torn') torn.push(file.mounted_name);
  });
  const ours = new Set([RECORD_NAME, ...record.files.map((file) => file.mounted_name)]);
  const others = names.filter((name) => !ours.has(name) && !TRAINERS_OWN.has(name));
  if (!isSameBoot && changed.length + torn.length === 0) await writeRecord(folder, { ...record, boot_id: boot });
  return {
    state: 'mounted',
    record,
    changed: changed.sort(),
    torn,
    strangers: others.filter((name) => !name.startsWith('.')),
    hiddenStrangers: others.filter((name) => name.startsWith('.')),
  };
}

async function conditionOf(
  path: string,
  file: RecordedFile,
  isSameBoot: boolean,
): Promise<'same' | 'changed' | 'torn'> {
  const stats = await lstat(path).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (!stats?.isFile()) return 'changed';
  const isUntouched = stats.mtimeMs === file.mtime_ms;
  if (isUntouched && stats.size === file.size_bytes && isSameBoot) return 'same';
  if (stats.size === file.size_bytes && (await sha256Of(path)) === file.sha256) return 'same';
  // A person's edit moves the time; a file that lost its bytes with the power did not get another.
  return isUntouched && !isSameBoot ? 'torn' : 'changed';
}

/** The record in a folder; `undefined` where there is none that we wrote. */
export async function readRecord(folder: string): Promise<MountRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(join(folder, RECORD_NAME), 'utf8'));
    return record?.format === RECORD_FORMAT && Array.isArray(record.files) ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined;
    throw error;
  }
}

/** Writes the record, durable and in one step. */
export async function writeRecord(folder: string, record: MountRecord): Promise<void> {
  const temporary = join(folder, `${RECORD_NAME}.new`);
  const handle = await open(temporary, 'w');
  try {
    await handle.writeFile(`${JSON.stringify(record, null, 1)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, join(folder, RECORD_NAME));
}

/** One record for these files, as they are now. */
export function makeRecord(options: Omit<MountRecord, 'format'>): MountRecord {
  return { format: RECORD_FORMAT, ...options };
}

/** Names this start of the machine; `null` where there is no telling (random(4), `/proc/sys/kernel/random/boot_id`). */
export async function bootId(): Promise<string | null> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}

/** Lower-case hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
