import { randomUUID } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LinkSlot } from '../../dataset/dataset.js';
import { hasErrno, undefinedOn } from '../../dataset/errors.js';
import type { MediaChoice } from '../../dataset/train/training-dataset.js';
import { makeFolders } from '../../storage/folders.js';
import { sha256Of } from './bring-files.js';
import { MountError } from './mount-source.js';

/** The trainer skips names that begin with a dot (ai-toolkit `toolkit/data_loader.py:437-441`). */
export const RECORD_NAME = '.mount.json';

const NEW_RECORD_NAME = `${RECORD_NAME}.new`;

/**
 * What trainers write into a dataset's folder (docs/mounting.md): ai-toolkit and its page, diffusion-pipe (`cache`), sd-scripts
 * (`.npz`, `metadata_cache.json`) and SimpleTuner.
 */
const TRAINER_FILES =
  /^(\.aitk_size\.json|_latent_cache|_t_e_cache|_clip_vision_cache|_controls|\.thumbs|cache|metadata_cache\.json|.+\.npz|aspect_ratio_bucket_(indices|metadata)_.+\.json)$/s;

const RECORD_FORMAT = 1;

/** `onetrainer`: the files of the mask beside the target's. `kohya`: in folders of groups, such as `10_name`. */
export const MOUNT_LAYOUTS = ['onetrainer', 'kohya'] as const;
export type MountLayout = (typeof MOUNT_LAYOUTS)[number];

/** The content of `.mount.json`. */
export interface MountRecord {
  readonly format: typeof RECORD_FORMAT;
  /** Missing in a tar archive. */
  readonly trainyard?: string;
  readonly dataset_id: string;
  readonly name: string;
  /** Covers all files of the dataset and its linked datasets, even if one kind of media is mounted. */
  readonly digest: string;
  readonly only?: MediaChoice;
  /** Missing if the folder is flat, and has the files of its own dataset alone. */
  readonly layout?: MountLayout;
  /** All datasets of one moment, itself first; missing without links. */
  readonly mounted_with?: readonly {
    readonly as: LinkSlot | 'target';
    readonly dataset_id: string;
    readonly name: string;
    readonly digest: string;
  }[];
  /** The service's URL, the data folder, or `tar`. */
  readonly source: string;
  /** Missing in a tar archive, and while the folder is written. */
  readonly mounted_at?: string;
  readonly files: readonly {
    readonly filename: string;
    /** The linked dataset of the file. */
    readonly of?: LinkSlot;
    readonly mounted_name: string;
    readonly sha256: string;
    readonly size_bytes: number;
    /** 0 while the folder is written. */
    readonly mtime_ms: number;
  }[];
}

/** An empty folder is absent; trainyard did not mount a `foreign` one. */
export type FolderState = { readonly state: 'absent' | 'foreign' } | MountedState;

interface MountedState {
  readonly state: 'mounted';
  readonly record: MountRecord;
  /** Changed mounted files. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Files of neither the mount nor the trainer, which does not read hidden ones. */
  readonly added: readonly string[];
}

/** SHA-256 by mounted name. */
export type WantedFiles = ReadonlyMap<string, string>;

/**
 * A file with the recorded size and time counts as unchanged, since reading all files takes as long as a mount.
 *
 * @param wanted what the dataset has now: a change that is in it, too, counts as none
 */
export async function folderStateOf(folder: string, wanted?: WantedFiles): Promise<FolderState> {
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
    // Synchronous: in Node's thread pool it would take ten times as long.
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const isSameSize = stats?.isFile() && stats.size === file.size_bytes;
    if (stats === undefined) removed.push(file.mounted_name);
    else if (isSameSize && (stats.mtimeMs === file.mtime_ms || (await sha256Of(path)) === file.sha256)) continue;
    else changed.push(file.mounted_name);
  }
  const added = addedTo(record, await namesIn(folder, record));
  const notIn = (names: readonly string[]) => (wanted === undefined ? names : differencesTo(wanted, names, folder));
  return {
    ...{ state: 'mounted', record },
    ...{ changed: await notIn(changed), removed: await notIn(removed), added: await notIn(added) },
  };
}

async function differencesTo(wanted: WantedFiles, names: readonly string[], folder: string): Promise<string[]> {
  const different: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const sha256 = stats?.isFile() ? await sha256Of(path) : stats && 'not a file';
    if (sha256 !== wanted.get(name)) different.push(name);
  }
  return different;
}

function addedTo(record: MountRecord, names: readonly string[]): string[] {
  const mounted = mountedNamesIn(record);
  const own = new Set([RECORD_NAME, NEW_RECORD_NAME, ...mounted, ...foldersOf(mounted)]);
  return names.filter((name) => !own.has(name) && !TRAINER_FILES.test(basename(name)));
}

function mountedNamesIn({ files }: Pick<MountRecord, 'files'>): string[] {
  return files.map((file) => file.mounted_name);
}

/** The folders of groups in which files are, each after its parent. */
export function foldersOf(mountedNames: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const name of mountedNames) {
    for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) folders.add(name.slice(0, at));
  }
  return [...folders];
}

/** The names in a folder and in the folders of its groups, as `10_name/photo.jpg`. */
async function namesIn(folder: string, record: Pick<MountRecord, 'files'>): Promise<string[]> {
  const names = await readdir(folder);
  for (const group of foldersOf(mountedNamesIn(record))) {
    const inGroup = (await readdir(join(folder, group)).catch(undefinedOn('ENOENT', 'ENOTDIR'))) ?? [];
    names.push(...inGroup.map((name) => `${group}/${name}`));
  }
  return names;
}

/** Changes by neither a mount nor a trainer, for a person. */
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

/** The mounted folder, the new one while it is written, and the old one while it is replaced. */
export function mountPathsOf(root: string, name: string) {
  const hidden = (suffix: string) => join(root, `.${name}.${suffix}`);
  return { root, name, folder: join(root, name), staging: hidden('mounting'), aside: hidden('aside') };
}

/**
 * Creates the staging folder, or continues the one of an earlier mount.
 *
 * @throws MountError `cannot_write` if something else has its name, or it has files of others
 */
export async function openStaging(
  { staging }: MountPaths,
  record: Omit<MountRecord, 'format'>,
  { isResumable }: { isResumable: boolean },
): Promise<void> {
  const earlier = await readRecord(staging);
  if (earlier === undefined) {
    await removeStaging({ staging });
    await mkdir(staging).catch((error) => {
      throw hasErrno(error, 'EEXIST') ? inTheWay(staging, 'trainyard did not write it') : error;
    });
  }
  const names = await namesIn(staging, earlier ?? record);
  const added = earlier ? addedTo(earlier, names) : [];
  if (added.length > 0) throw inTheWay(staging, `it has files that trainyard did not write: ${listOf(added)}`);
  const mounted = mountedNamesIn(record);
  const kept = new Set([RECORD_NAME, ...(isResumable ? [...mounted, ...foldersOf(mounted)] : [])]);
  for (const name of names) {
    if (!kept.has(name)) await rm(join(staging, name), { recursive: true, force: true });
  }
  for (const group of foldersOf(mounted)) await makeFolders(join(staging, group));
  await writeRecord(staging, record);
}

function inTheWay(path: string, why: string): MountError {
  return new MountError('cannot_write', `${path} is in the way: ${why}. Move it away.`);
}

/** Files of others stay, and the folder with them. */
export async function removeStaging({ staging }: Pick<MountPaths, 'staging'>): Promise<void> {
  const record = await readRecord(staging);
  if (record === undefined) {
    // A kill may leave it without a record.
    await rm(join(staging, NEW_RECORD_NAME), { force: true }).catch(() => {});
    await rmdir(staging).catch(() => {});
  } else if (addedTo(record, await namesIn(staging, record)).length === 0) await removeFolder(staging);
}

/** The record goes last, so that after a kill the next mount knows the folder as its own. */
async function removeFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== RECORD_NAME) await rm(join(folder, name), { recursive: true, force: true });
  }
  await rm(folder, { recursive: true });
}

/**
 * Removes an old folder. A foreign or changed one gets another name unless it `isDiscarded`: a person may have just saved a caption.
 *
 * @returns warnings for a person
 */
export async function removeAside(
  { root, name, aside }: MountPaths,
  { isDiscarded = false, wanted }: { isDiscarded?: boolean; wanted?: WantedFiles } = {},
): Promise<string[]> {
  const existing = await folderStateOf(aside, wanted);
  const isOwn = existing.state === 'mounted' && existing.changed.length + existing.added.length === 0;
  let why = 'has files that trainyard did not write';
  if (isOwn || isDiscarded || existing.state === 'absent') {
    try {
      if (existing.state === 'mounted') await removeFolder(aside);
      else await rm(aside, { recursive: true, force: true });
      return [];
    } catch (error) {
      // Only the other user can remove caches of a trainer that runs as another user.
      why = `can't be removed (${error instanceof Error ? error.message : String(error)}); remove it yourself`;
    }
  }
  const kept = join(root, `.${name}.kept-${randomUUID()}`);
  await rename(aside, kept);
  return [`${aside} ${why}. It is now ${kept}.`];
}

/** A folder that a person has renamed is not mounted any more. */
export async function recordedFoldersIn(root: string): Promise<MountRecord[]> {
  const records: MountRecord[] = [];
  for (const name of (await readdir(root).catch(undefinedOn('ENOENT'))) ?? []) {
    const record = await readRecord(join(root, name)).catch(() => undefined);
    if (record?.name === name) records.push(record);
  }
  return records;
}

/** The SHA-256 of what was mounted of a dataset in one of the folders, by filename, and when, in milliseconds since 1970. */
export async function lastMount(folders: readonly string[], datasetId: string) {
  const files = new Map<string, string>();
  let at = 0;
  for (const folder of folders) {
    const record = await readRecord(folder);
    if (record?.dataset_id !== datasetId) continue;
    // What unpacks an archive sets the time of the last change of a file, but not that of its status.
    const stats = await stat(join(folder, RECORD_NAME)).catch(undefinedOn('ENOENT'));
    at = Math.max(at, stats?.ctimeMs ?? 0);
    for (const { filename, mounted_name, sha256, of } of record.files) {
      // Under another name, a push takes a file for another one.
      if (of === undefined && filename === mounted_name) files.set(filename, sha256);
    }
  }
  return { files, at };
}

/** `undefined` without a record of this format. */
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

/** Another program may write a file of that name. */
function isRecord(value: unknown): value is MountRecord {
  const record = (value ?? {}) as Partial<Record<keyof MountRecord, unknown>>;
  const texts = [record.dataset_id, record.name, record.digest, record.source];
  if (record.format !== RECORD_FORMAT || texts.some((text) => typeof text !== 'string')) return false;
  return Array.isArray(record.files) && record.files.every((file) => isInside(file?.mounted_name));
}

/** The record may come from an archive of a service that is not trusted. */
function isInside(mountedName: unknown): boolean {
  return typeof mountedName === 'string' && mountedName.split('/').every((part) => !['', '.', '..'].includes(part));
}

export function recordText(record: Omit<MountRecord, 'format'>): string {
  return `${JSON.stringify({ format: RECORD_FORMAT, ...record }, null, 1)}\n`;
}

export async function writeRecord(folder: string, record: Omit<MountRecord, 'format'>): Promise<void> {
  await writeFile(join(folder, NEW_RECORD_NAME), recordText(record));
  await rename(join(folder, NEW_RECORD_NAME), join(folder, RECORD_NAME));
}
