import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hasErrno } from '../../dataset/errors.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';

/** The trainer skips names that begin with a dot (ai-toolkit `toolkit/data_loader.py:437-441`). */
export const RECORD_NAME = '.mount.json';

/** Files and folders that the trainer and its UI write into a dataset's folder (ai-toolkit; line numbers in docs/mounting.md). */
const TRAINER_FILES: ReadonlySet<string> = new Set([
  '.aitk_size.json',
  '_latent_cache',
  '_t_e_cache',
  '_clip_vision_cache',
  '_controls',
  '.thumbs',
]);

const RECORD_FORMAT = 1;
const CONCURRENT_CHECKS = 16;

/** The content of `.mount.json`. */
export interface MountRecord {
  readonly format: typeof RECORD_FORMAT;
  /** The version of trainyard that mounted the folder. */
  readonly trainyard: string;
  readonly dataset_id: string;
  readonly name: string;
  readonly digest: string;
  /** The service's URL, or the data folder. */
  readonly source: string;
  readonly mounted_at: string;
  /** The `bootId` when the folder was written. */
  readonly boot_id: string | null;
  readonly files: readonly RecordedFile[];
}

export interface RecordedFile {
  /** The name in the dataset. */
  readonly filename: string;
  /** The name in the folder. */
  readonly mounted_name: string;
  readonly sha256: string;
  readonly size_bytes: number;
  readonly mtime_ms: number;
}

/** The state of the path where a dataset is mounted. An empty folder counts as absent. */
export type FolderState =
  | { readonly state: 'absent' }
  /** A file or folder that trainyard did not mount. */
  | { readonly state: 'foreign' }
  | {
      readonly state: 'mounted';
      readonly record: MountRecord;
      /** Mounted files that were changed or removed, by their names in the folder. */
      readonly changed: readonly string[];
      /** Files that neither the mount nor the trainer wrote; the trainer does not read the hidden ones. */
      readonly unexpected: readonly string[];
      readonly unexpectedHidden: readonly string[];
      /** Mounted files whose bytes were lost in a crash of the machine, because they were not flushed to the disk. */
      readonly halfWritten: readonly string[];
    };

/**
 * Compares a folder with its record. A file with the recorded size and modification time counts as unchanged, since reading
 * all files takes as long as mounting them. After a restart of the machine, which may have lost unflushed bytes, all files
 * are read once.
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
  const halfWritten: string[] = [];
  await forEachConcurrent(record.files, CONCURRENT_CHECKS, async (file) => {
    const condition = await conditionOf(join(folder, file.mounted_name), file, isSameBoot);
    if (condition === 'changed') changed.push(file.mounted_name);
    if (condition === 'half-written') halfWritten.push(file.mounted_name);
  });
  const mounted = new Set([RECORD_NAME, ...record.files.map((file) => file.mounted_name)]);
  const others = names.filter((name) => !mounted.has(name) && !TRAINER_FILES.has(name));
  if (!isSameBoot && changed.length + halfWritten.length === 0) await writeRecord(folder, { ...record, boot_id: boot });
  return {
    state: 'mounted',
    record,
    changed: changed.sort(),
    halfWritten,
    unexpected: others.filter((name) => !name.startsWith('.')),
    unexpectedHidden: others.filter((name) => name.startsWith('.')),
  };
}

async function conditionOf(
  path: string,
  file: RecordedFile,
  isSameBoot: boolean,
): Promise<'same' | 'changed' | 'half-written'> {
  const stats = await lstat(path).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (!stats?.isFile()) return 'changed';
  const isUntouched = stats.mtimeMs === file.mtime_ms;
  if (isUntouched && stats.size === file.size_bytes && isSameBoot) return 'same';
  if (stats.size === file.size_bytes && (await sha256Of(path)) === file.sha256) return 'same';
  // An edit changes the modification time; a crash of the machine does not.
  return isUntouched && !isSameBoot ? 'half-written' : 'changed';
}

/** Reads the record of a folder; `undefined` if the folder has none of this format. */
export async function readRecord(folder: string): Promise<MountRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(join(folder, RECORD_NAME), 'utf8'));
    return record?.format === RECORD_FORMAT && Array.isArray(record.files) ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined;
    throw error;
  }
}

/** Writes the record durably and atomically. */
export async function writeRecord(folder: string, record: Omit<MountRecord, 'format'>): Promise<void> {
  const temporary = join(folder, `${RECORD_NAME}.new`);
  const handle = await open(temporary, 'w');
  try {
    await handle.writeFile(`${JSON.stringify({ format: RECORD_FORMAT, ...record }, null, 1)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, join(folder, RECORD_NAME));
}

/** The kernel's random ID of the current boot (random(4)); `null` on other systems than Linux. */
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
