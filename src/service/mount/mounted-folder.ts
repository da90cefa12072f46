import { createHash, randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { LinkSlot } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import type { MediaChoice } from '../../dataset/train/training-dataset.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { openRegularFile, readRegularFile, UnreadableFile } from '../../storage/regular-file.js';
import { flushFolder } from '../../storage/sync-folder.js';

/** The trainer skips names that begin with a dot (ai-toolkit `toolkit/data_loader.py:437-441`). */
export const RECORD_NAME = '.mount.json';

/** Lists the names of the files that a mount writes into a folder, until the folder is complete. */
const LIST_NAME = '.mounting.json';

/** With the names of both while they are written, which a kill can leave behind. */
const HIDDEN_NAMES: readonly string[] = [RECORD_NAME, LIST_NAME].flatMap((name) => [name, `${name}.new`]);

/** The record of 100,000 files takes about 30 MB. */
const MAX_RECORD_BYTES = 128 * 1024 * 1024;

/**
 * Names of what trainers write into a dataset's folder: ai-toolkit and its page (line numbers in docs/mounting.md),
 * diffusion-pipe (`cache`), sd-scripts (`.npz`, `metadata_cache.json`) and SimpleTuner (docs/training.md).
 */
const TRAINER_FILES =
  /^(\.aitk_size\.json|_latent_cache|_t_e_cache|_clip_vision_cache|_controls|\.thumbs|cache|metadata_cache\.json|.+\.npz|aspect_ratio_bucket_(indices|metadata)_.+\.json)$/s;

function isTrainerFile(name: string): boolean {
  return TRAINER_FILES.test(name);
}

const RECORD_FORMAT = 1;
const CONCURRENT_CHECKS = 16;

/** The content of `.mount.json`. */
export interface MountRecord {
  readonly format: typeof RECORD_FORMAT;
  /** The version of trainyard that mounted the folder; missing in a tar archive. */
  readonly trainyard?: string;
  readonly dataset_id: string;
  readonly name: string;
  /** Of all files of the dataset and its linked datasets, even if only one kind of media is mounted. */
  readonly digest: string;
  /** The one kind of media that is mounted, with its captions; missing if everything is. */
  readonly only?: MediaChoice;
  /** Missing unless the folder has the files of linked datasets, too. */
  readonly layout?: MountLayout;
  /** Of a training dataset with links: all datasets that were mounted at the same moment, itself first. */
  readonly mounted_with?: readonly RecordedDataset[];
  /** The service's URL, or the data folder; `tar` in a tar archive. */
  readonly source: string;
  /** Missing in a tar archive. */
  readonly mounted_at?: string;
  readonly files: readonly RecordedFile[];
}

/** The trainers for which the files of linked datasets are mounted beside those of the target; else each has its folder. */
export const MOUNT_LAYOUTS = ['onetrainer'] as const;
export type MountLayout = (typeof MOUNT_LAYOUTS)[number];

/** A training dataset, or a control or mask that it is linked to. */
export interface RecordedDataset {
  readonly as: LinkSlot | 'target';
  readonly dataset_id: string;
  readonly name: string;
  readonly digest: string;
}

export interface RecordedFile {
  /** The name in the dataset. */
  readonly filename: string;
  /** The linked dataset that the file is of, in a folder with the files of several datasets. */
  readonly of?: LinkSlot;
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
    };

/**
 * Compares a folder with its record. A file with the recorded size and modification time counts as unchanged, since reading
 * all files takes as long as mounting them.
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
  const changed: string[] = [];
  await forEachConcurrent(record.files, CONCURRENT_CHECKS, async (file) => {
    if (!(await isUnchanged(join(folder, file.mounted_name), file))) changed.push(file.mounted_name);
  });
  const own = new Set([...HIDDEN_NAMES, ...record.files.map((file) => file.mounted_name)]);
  const others = names.filter((name) => !own.has(name) && !isTrainerFile(name));
  return {
    state: 'mounted',
    record,
    changed: changed.sort(),
    unexpected: others.filter((name) => !name.startsWith('.')),
    unexpectedHidden: others.filter((name) => name.startsWith('.')),
  };
}

async function isUnchanged(path: string, file: RecordedFile): Promise<boolean> {
  const stats = await lstat(path).catch((error) => {
    if (!hasErrno(error, 'ENOENT')) throw error;
  });
  if (!stats?.isFile() || stats.size !== file.size_bytes) return false;
  return stats.mtimeMs === file.mtime_ms || (await sha256Of(path)) === file.sha256;
}

/** What was done to a mounted folder by something that is neither a mount nor a trainer, for a person. */
export function foreignChangesIn(existing: FolderState & { state: 'mounted' }): string[] {
  const added = [...existing.unexpected, ...existing.unexpectedHidden];
  return [
    ...(existing.changed.length > 0 ? [`changed or removed: ${listOf(existing.changed)}`] : []),
    ...(added.length > 0 ? [`added: ${listOf(added)}`] : []),
  ];
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}

/** A path of a root in which a dataset is mounted, and the hidden ones beside it. */
export interface MountPaths {
  readonly root: string;
  readonly name: string;
  /** The trainer reads this folder. */
  readonly folder: string;
  /** The new folder while it is written. */
  readonly staging: string;
  /** The old folder while the new one is moved into place, and while it is removed. */
  readonly aside: string;
}

export function mountPathsOf(root: string, name: string): MountPaths {
  const hidden = (suffix: string) => join(root, `.${name}.${suffix}`);
  return { root, name, folder: join(root, name), staging: hidden('mounting'), aside: hidden('aside') };
}

/** Creates the staging folder for files of these names, or continues one that an earlier mount has left. */
export async function openStaging(
  paths: MountPaths,
  { names, isResumable }: { names: readonly string[]; isResumable: boolean },
): Promise<{ started: ReadonlySet<string>; warnings: string[] }> {
  const { staging } = paths;
  const found = await entriesOf(staging);
  const isContinued = isResumable && found !== undefined && found.others.length === 0;
  const warnings = isContinued ? [] : await removeMounted(paths, staging);
  if (!isContinued) await mkdir(staging);
  const wanted = new Set(names);
  const written = isContinued ? found.written : [];
  const outdated = written.filter((name) => !wanted.has(name));
  await replaceFile(join(staging, LIST_NAME), JSON.stringify({ files: [...names, ...outdated] }));
  for (const name of outdated) {
    if (name !== LIST_NAME) await rm(join(staging, name), { recursive: true, force: true });
  }
  return { started: new Set(written.filter((name) => wanted.has(name))), warnings };
}

/** Makes the staging folder a complete and durable one. */
export async function completeStaging({ staging }: MountPaths, record: Omit<MountRecord, 'format'>): Promise<void> {
  await replaceFile(join(staging, RECORD_NAME), recordText(record));
  await flushFolder(
    staging,
    record.files.map((file) => file.mounted_name),
  );
  await rm(join(staging, LIST_NAME));
}

/**
 * Removes a folder that a mount has written, or has begun to write. A folder with other files than the mount's and the trainer's
 * gets another name and stays, unless it `isDiscarded`.
 *
 * @returns warnings for a person
 */
export async function removeMounted(
  { root, name }: MountPaths,
  folder: string,
  { isDiscarded = false } = {},
): Promise<string[]> {
  const found = await entriesOf(folder);
  if (found === undefined) return [];
  const kept = join(root, `.${name}.kept-${randomUUID()}`);
  const keep = async (why: string) => {
    await rename(folder, kept);
    return [`${folder} ${why}. It is now ${kept}.`];
  };
  if (found.others.length > 0 && !isDiscarded) return keep('has files that trainyard did not write');
  try {
    // Its list of files last: after a kill, the next mount still knows which of them are its own.
    const files = found.written.filter((entry) => !HIDDEN_NAMES.includes(entry));
    for (const entry of files) await rm(join(folder, entry), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
    return [];
  } catch (error) {
    // Caches of a trainer that runs as another user can be removed by that user only.
    return keep(`can't be removed (${error instanceof Error ? error.message : String(error)}); remove it yourself`);
  }
}

/** What a folder has: entries that a mount or a trainer has written, and others. `undefined` if there is nothing. */
async function entriesOf(folder: string): Promise<{ written: string[]; others: string[] } | undefined> {
  const stats = await lstat(folder).catch((error) => {
    if (!hasErrno(error, 'ENOENT')) throw error;
  });
  if (stats === undefined) return undefined;
  if (!stats.isDirectory()) return { written: [], others: [folder] };
  const record = await readRecord(folder);
  const listed = new Set(await readList(folder));
  const recorded = new Map(record?.files.map((file) => [file.mounted_name, file]));
  const isWritten = async (name: string): Promise<boolean> => {
    if (record !== undefined && isTrainerFile(name)) return true;
    const path = join(folder, name);
    const file = recorded.get(name);
    // A person may have changed it in the old folder that a killed mount has left.
    if (file !== undefined && !listed.has(name)) return isUnchanged(path, file);
    const isKnown = listed.has(name) || (recorded.size + listed.size > 0 && HIDDEN_NAMES.includes(name));
    return isKnown && (await lstat(path)).isFile();
  };
  const [written, others]: [string[], string[]] = [[], []];
  for (const name of await readdir(folder)) ((await isWritten(name)) ? written : others).push(name);
  return { written, others };
}

async function readList(folder: string): Promise<string[] | undefined> {
  const { files } = Object(await readJson(join(folder, LIST_NAME)));
  return Array.isArray(files) ? files.filter((name) => typeof name === 'string') : undefined;
}

/** The mounted folders in a root, by the name of the dataset. A folder that a person has renamed is not one of them. */
export async function recordedFoldersIn(root: string): Promise<Omit<MountRecord, 'files'>[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  });
  const found: Omit<MountRecord, 'files'>[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
    const whole = await readRecord(join(root, entry.name)).catch(() => undefined);
    if (whole?.name !== entry.name) continue;
    // One list of files is in memory at a time.
    const { files: _, ...record } = whole;
    found.push(record);
  }
  return found;
}

/** Reads the record of a folder; `undefined` if the folder has none of this format. */
export async function readRecord(folder: string): Promise<MountRecord | undefined> {
  const record = await readJson(join(folder, RECORD_NAME));
  return isRecord(record) ? record : undefined;
}

/** `undefined` if there is no such file, or no JSON in it. Follows no link. */
async function readJson(path: string): Promise<unknown> {
  try {
    if (!(await lstat(path)).isFile()) return undefined;
    return JSON.parse(await readRegularFile(path, { maxBytes: MAX_RECORD_BYTES }));
  } catch (error) {
    const isUnreadable = error instanceof SyntaxError || error instanceof UnreadableFile;
    if (isUnreadable || hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

/** A record can be written by anything that can write into the folder. Its names must not lead out of the folder. */
function isRecord(value: unknown): value is MountRecord {
  const record = (value ?? {}) as Partial<Record<keyof MountRecord, unknown>>;
  const texts = [record.dataset_id, record.name, record.digest, record.source];
  if (record.format !== RECORD_FORMAT || texts.some((text) => typeof text !== 'string')) return false;
  return Array.isArray(record.files) && record.files.every(isRecordedFile);
}

function isRecordedFile(value: unknown): value is RecordedFile {
  const file = (value ?? {}) as Partial<Record<keyof RecordedFile, unknown>>;
  const { mounted_name: name } = file;
  const isName = typeof name === 'string' && name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
  return isName && typeof file.sha256 === 'string' && [file.size_bytes, file.mtime_ms].every(Number.isFinite);
}

/** The content of `.mount.json`. */
export function recordText(record: Omit<MountRecord, 'format'>): string {
  return `${JSON.stringify({ format: RECORD_FORMAT, ...record }, null, 1)}\n`;
}

/** Writes a file atomically, through `PATH.new`. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  // An existing one may be a link or a pipe.
  await rm(temporary, { force: true });
  await writeFile(temporary, text, { flag: 'wx' });
  await rename(temporary, path);
}

/** Lower-case hexadecimal. @throws UnreadableFile; the system's errors */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  const handle = await openRegularFile(path);
  await pipeline(handle.createReadStream({ highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
