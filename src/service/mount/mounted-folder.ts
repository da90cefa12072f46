import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync } from 'node:fs';
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
 * diffusion-pipe (`cache`), sd-scripts (`.npz`, `metadata_cache.json`) and SimpleTuner (docs/training.md).
 */
const TRAINER_FILES =
  /^(\.aitk_size\.json|_latent_cache|_t_e_cache|_clip_vision_cache|_controls|\.thumbs|cache|metadata_cache\.json|.+\.npz|aspect_ratio_bucket_(indices|metadata)_.+\.json)$/s;

const RECORD_FORMAT = 1;

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
  /** Missing in a tar archive, and while the folder is written. */
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
  /** 0 while the folder is written. */
  readonly mtime_ms: number;
}

/** The state of the path where a dataset is mounted. An empty folder counts as absent. */
export type FolderState =
  | { readonly state: 'absent' }
  /** A file or folder that trainyard did not mount. */
  | { readonly state: 'foreign' }
  | MountedState;

export interface MountedState {
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

/**
 * Creates the staging folder with a record of the files that it will have, or continues one that an earlier mount has left.
 *
 * @param options.isResumable keeps what the earlier mount has received
 * @throws MountError `cannot_write` if something else has its name, if it has files of a person, or if the file system takes two
 * of the names for one
 */
export async function openStaging(
  { staging }: MountPaths,
  record: Omit<MountRecord, 'format'>,
  { isResumable }: { isResumable: boolean },
): Promise<void> {
  const earlier = await readRecord(staging);
  const wanted = new Set(record.files.map((file) => file.mounted_name));
  if (earlier === undefined) {
    // A kill may leave it without a record.
    await rm(join(staging, NEW_RECORD_NAME), { force: true }).catch(() => {});
    await rmdir(staging).catch(() => {});
    await mkdir(staging).catch((error) => {
      throw hasErrno(error, 'EEXIST') ? inTheWay(staging, 'trainyard did not write it') : error;
    });
  } else {
    const names = await readdir(staging);
    const added = addedTo(earlier, names);
    if (added.length > 0) throw inTheWay(staging, `it has files that trainyard did not write: ${listOf(added)}`);
    for (const name of names) {
      const isKept = name === RECORD_NAME || (isResumable && wanted.has(name));
      if (!isKept) await rm(join(staging, name), { recursive: true, force: true });
    }
  }
  await writeRecord(staging, record);
  requireDistinctNames(staging, [...wanted]);
}

/** @throws MountError `cannot_write` if the names differ in their case alone and the file system of the folder ignores it */
function requireDistinctNames(folder: string, names: readonly string[]): void {
  if (!existsSync(join(folder, RECORD_NAME.toUpperCase()))) return;
  const seen = new Map<string, string>();
  for (const name of names) {
    const twin = seen.get(name.toLowerCase());
    seen.set(name.toLowerCase(), name);
    if (twin === undefined) continue;
    const both = [twin, name].map((each) => JSON.stringify(each)).join(' and ');
    const message = `${both} would be one file, since the file system ignores case. Rename one of them in the dataset, or use another file system.`;
    throw new MountError('cannot_write', message);
  }
}

function inTheWay(path: string, why: string): MountError {
  return new MountError('cannot_write', `${path} is in the way: ${why}. Move it away.`);
}

/** Removes the staging folder, unless it has files that a mount did not write. */
export async function removeStaging({ staging }: MountPaths): Promise<void> {
  const record = await readRecord(staging);
  if (record === undefined || addedTo(record, await readdir(staging)).length > 0) return;
  await removeFolder(staging);
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
  if (existing.state === 'absent') {
    await rmdir(aside).catch(() => {});
    return [];
  }
  const isOwn = existing.state === 'mounted' && existing.changed.length + existing.added.length === 0;
  let why = 'has files that trainyard did not write';
  if (isOwn || isDiscarded) {
    try {
      if (existing.state === 'mounted') await removeFolder(aside);
      else await rm(aside, { recursive: true });
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

/** The mounted folders in a root, by the name of the dataset. A folder that a person has renamed is not one of them. */
export async function recordedFoldersIn(root: string): Promise<Omit<MountRecord, 'files'>[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  });
  const found: Omit<MountRecord, 'files'>[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
    const record = await readRecord(join(root, entry.name)).catch(() => undefined);
    if (record?.name === entry.name) found.push(record);
  }
  return found;
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
