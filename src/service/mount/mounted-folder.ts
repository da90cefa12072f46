import { randomUUID } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LinkSlot } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import type { MediaChoice } from '../../dataset/train/training-dataset.js';
import { sha256Of } from './bring-files.js';
import { MountError } from './mount-source.js';

/** The trainer skips names that begin with a dot (ai-toolkit `toolkit/data_loader.py:437-441`). */
export const RECORD_NAME = '.mount.json';

/** While it is written. */
const NEW_RECORD_NAME = `${RECORD_NAME}.new`;

/**
 * Names of what trainers write into a dataset's folder: ai-toolkit and its page (line numbers in docs/mounting.md),
 * diffusion-pipe (`cache`), sd-scripts (`.npz`, `metadata_cache.json`) and SimpleTuner (docs/mounting.md).
 */
const TRAINER_FILES =
  /^(\.aitk_size\.json|_latent_cache|_t_e_cache|_clip_vision_cache|_controls|\.thumbs|cache|metadata_cache\.json|.+\.npz|aspect_ratio_bucket_(indices|metadata)_.+\.json)$/s;

const RECORD_FORMAT = 1;

/** The trainers for which the files of linked datasets are mounted beside those of the target; else each has its folder. */
export const MOUNT_LAYOUTS = ['onetrainer'] as const;
export type MountLayout = (typeof MOUNT_LAYOUTS)[number];

/** The content of `.mount.json`. */
export interface MountRecord {
  readonly format: typeof RECORD_FORMAT;
  /** The version of trainyard that mounted the folder; missing in a tar archive. */
  readonly trainyard?: string;
  readonly dataset_id: string;
  readonly name: string;
  /** Of all files of the dataset and its linked datasets, even if only one kind of media is mounted. */
  readonly digest: string;
  /** Missing if all kinds of media are mounted. */
  readonly only?: MediaChoice;
  /** Missing unless the folder has the files of linked datasets, too. */
  readonly layout?: MountLayout;
  /** Of a training dataset with links: all datasets that were mounted at the same moment, itself first. */
  readonly mounted_with?: readonly RecordedDataset[];
  /** The service's URL, or the data folder; `tar` in a tar archive. */
  readonly source: string;
  /** Missing in a tar archive, and while the folder is written. */
  readonly mounted_at?: string;
  readonly files: readonly RecordedFile[];
}

export interface RecordedDataset {
  readonly as: LinkSlot | 'target';
  readonly dataset_id: string;
  readonly name: string;
  readonly digest: string;
}

export interface RecordedFile {
  readonly filename: string;
  /** The linked dataset that the file is of, in a folder with the files of several datasets. */
  readonly of?: LinkSlot;
  readonly mounted_name: string;
  readonly sha256: string;
  readonly size_bytes: number;
  /** 0 while the folder is written. */
  readonly mtime_ms: number;
}

/** The state of the path where a dataset is mounted. An empty folder is absent; `foreign` is what trainyard did not mount. */
export type FolderState = { readonly state: 'absent' | 'foreign' } | MountedState;

interface MountedState {
  readonly state: 'mounted';
  readonly record: MountRecord;
  /** Mounted files that were changed or removed, by their names in the folder. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Files that neither the mount nor the trainer wrote; the trainer does not read the hidden ones. */
  readonly added: readonly string[];
}

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
  const [changed, removed]: [string[], string[]] = [[], []];
  for (const file of record.files) {
    const path = join(folder, file.mounted_name);
    // Synchronous: it takes some milliseconds for thousands of files, and ten times as long in Node's thread pool.
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const isSameSize = stats?.isFile() && stats.size === file.size_bytes;
    if (stats === undefined) removed.push(file.mounted_name);
    else if (isSameSize && (stats.mtimeMs === file.mtime_ms || (await sha256Of(path)) === file.sha256)) continue;
    else changed.push(file.mounted_name);
  }
  return { state: 'mounted', record, changed, removed, added: addedTo(record, names) };
}

function addedTo(record: MountRecord, names: readonly string[]): string[] {
  const own = new Set([RECORD_NAME, NEW_RECORD_NAME, ...record.files.map((file) => file.mounted_name)]);
  return names.filter((name) => !own.has(name) && !TRAINER_FILES.test(name));
}

/** What was done to a mounted folder by something that is neither a mount nor a trainer, for a person. */
export function foreignChangesIn({ changed, removed, added }: MountedState): string[] {
  const lost = [...changed, ...removed].sort();
  return [
    ...(lost.length > 0 ? [`changed or removed: ${listOf(lost)}`] : []),
    ...(added.length > 0 ? [`added: ${listOf(added)}`] : []),
  ];
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}

export type MountPaths = ReturnType<typeof mountPathsOf>;

/** The folder that the trainer reads, the new one while it is written, and the old one while it is replaced and removed. */
export function mountPathsOf(root: string, name: string) {
  const hidden = (suffix: string) => join(root, `.${name}.${suffix}`);
  return { root, name, folder: join(root, name), staging: hidden('mounting'), aside: hidden('aside') };
}

/**
 * Creates the staging folder with a record of the files that it will have, or continues one that an earlier mount has left.
 *
 * @param options.isResumable keeps what the earlier mount has received
 * @throws MountError `cannot_write` if something else has its name
 */
export async function openStaging(
  { staging }: MountPaths,
  record: Omit<MountRecord, 'format'>,
  { isResumable }: { isResumable: boolean },
): Promise<void> {
  if ((await readRecord(staging)) === undefined) {
    // A kill may leave it without a record.
    await rm(join(staging, NEW_RECORD_NAME), { force: true }).catch(() => {});
    await rmdir(staging).catch(() => {});
    await mkdir(staging).catch((error) => {
      if (!hasErrno(error, 'EEXIST')) throw error;
      const message = `${staging} is in the way: trainyard did not write it. Move it away.`;
      throw new MountError('cannot_write', message);
    });
  }
  const kept = new Set([RECORD_NAME, ...(isResumable ? record.files.map((file) => file.mounted_name) : [])]);
  for (const name of await readdir(staging)) {
    if (!kept.has(name)) await rm(join(staging, name), { recursive: true });
  }
  await writeRecord(staging, record);
}

/** Removes the staging folder. */
export async function removeStaging({ staging }: MountPaths): Promise<void> {
  if ((await readRecord(staging)) !== undefined) await removeFolder(staging);
}

/** Its record last: after a kill, the next mount still knows that the folder is its own. */
async function removeFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== RECORD_NAME) await rm(join(folder, name), { recursive: true, force: true });
  }
  await rm(folder, { recursive: true });
}

/**
 * Removes an old folder that was set aside. One that was changed or was not mounted gets another name, unless it `isDiscarded`:
 * a person may have saved a caption just before it was set aside.
 *
 * @returns warnings for a person
 */
export async function removeAside({ root, name, aside }: MountPaths, { isDiscarded = false } = {}): Promise<string[]> {
  const existing = await folderStateOf(aside);
  const isOwn = existing.state === 'mounted' && existing.changed.length + existing.added.length === 0;
  let why = 'has files that trainyard did not write';
  if (isOwn || isDiscarded || existing.state === 'absent') {
    try {
      if (existing.state === 'mounted') await removeFolder(aside);
      else await rm(aside, { recursive: true, force: true });
      return [];
    } catch (error) {
      // Caches of a trainer that runs as another user can be removed by that user only.
      why = `can't be removed (${error instanceof Error ? error.message : String(error)}); remove it yourself`;
    }
  }
  const kept = join(root, `.${name}.kept-${randomUUID()}`);
  await rename(aside, kept);
  return [`${aside} ${why}. It is now ${kept}.`];
}

/** The records of the mounted folders in a root. A folder that a person has renamed is not one of them. */
export async function recordedFoldersIn(root: string): Promise<MountRecord[]> {
  const records: MountRecord[] = [];
  for (const name of await readdir(root).catch(() => [])) {
    const record = await readRecord(join(root, name)).catch(() => undefined);
    if (record?.name === name) records.push(record);
  }
  return records;
}

/** Reads the record of a folder; `undefined` if there is no folder, or it has none of this format. */
export async function readRecord(folder: string): Promise<MountRecord | undefined> {
  const path = join(folder, RECORD_NAME);
  try {
    const areReal = (await lstat(folder)).isDirectory() && (await lstat(path)).isFile();
    const record: unknown = areReal ? JSON.parse(await readFile(path, 'utf8')) : undefined;
    return isRecord(record) ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

/** Another program may write a file of that name, too. */
function isRecord(value: unknown): value is MountRecord {
  const record = (value ?? {}) as Partial<Record<keyof MountRecord, unknown>>;
  const texts = [record.dataset_id, record.name, record.digest, record.source];
  if (record.format !== RECORD_FORMAT || texts.some((text) => typeof text !== 'string')) return false;
  return Array.isArray(record.files) && record.files.every((file) => typeof file?.mounted_name === 'string');
}

/** The content of `.mount.json`. */
export function recordText(record: Omit<MountRecord, 'format'>): string {
  return `${JSON.stringify({ format: RECORD_FORMAT, ...record }, null, 1)}\n`;
}

/** Writes the record of a folder atomically. */
export async function writeRecord(folder: string, record: Omit<MountRecord, 'format'>): Promise<void> {
  await writeFile(join(folder, NEW_RECORD_NAME), recordText(record));
  await rename(join(folder, NEW_RECORD_NAME), join(folder, RECORD_NAME));
}
