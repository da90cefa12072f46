import { existsSync, lstatSync } from 'node:fs';
import { access, constants, readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { hasErrno } from '../../dataset/errors.js';
import { bytesOf, type WantedState } from '../manifest.js';
import { acquireLock, LockObstructed } from '../../storage/lock-file.js';
import { flushFolder, makeFolders, syncFolder } from '../../storage/folders.js';
import { packageVersion } from '../../version.js';
import type { CopyProgress } from '../transfer/copy.js';
import { type BringOptions, bringFiles, caseConflict, requireSpace } from './bring-files.js';
import { type FolderChoices, type FolderPlan, readFolderPlans, recordOf } from './folder-plans.js';
import { DatasetChanged, MountError, type MountSource } from './mount-source.js';
import {
  type FolderState,
  foldersOf,
  folderStateOf,
  foreignChangesIn,
  type MountPaths,
  type MountRecord,
  mountPathsOf,
  openStaging,
  readRecord,
  recordedFoldersIn,
  removeAside,
  removeStaging,
  type WantedFiles,
  writeRecord,
} from './mounted-folder.js';

const LOCK_NAME = '.trainyard-mount.lock';

/** Attempts while the dataset changes. */
const MAX_ATTEMPTS = 4;

/** The root or a folder can't be written or renamed. */
const UNWRITABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG', 'EBUSY', 'ELOOP', 'EEXIST', 'ENOTEMPTY'];

export interface MountOptions extends FolderChoices, Pick<BringOptions, 'concurrency' | 'isHardLinked' | 'signal'> {
  /** Contains a folder for each dataset; created if it is missing. */
  readonly root: string;
  readonly wanted: WantedState;
  /** Also replaces a folder that was changed, or not mounted by trainyard. */
  readonly replaces: boolean;
  /** Whether a person has typed the name. Otherwise a service names a folder, which could be any of the root. */
  readonly isNamed: (name: string) => boolean;
  /** Whether the dataset of a folder still has its name. By default it hasn't: a name belongs to one dataset of a source. */
  readonly isInUse?: (record: MountRecord) => Promise<boolean>;
  readonly onProgress?: (progress: CopyProgress & { readonly name: string }) => void;
  /** Another process is mounting into the same root. */
  readonly onWaiting?: () => void;
}

export interface MountedFolder {
  readonly outcome: 'mounted' | 'unchanged';
  readonly folder: string;
  readonly warnings: readonly string[];
  readonly plan: FolderPlan;
}

interface Placement {
  readonly plan: FolderPlan;
  readonly paths: MountPaths;
  readonly existing: FolderState;
  readonly isOutdated: boolean;
  readonly warnings: string[];
}

/**
 * Mounts a READY dataset and, beside it, its linked datasets. A folder with another digest is replaced together with its caches:
 * the trainer finds cached latents by filename (ai-toolkit `toolkit/dataloader_mixins.py:1779-1825`), and cached texts by the
 * path of the control (`:2135-2138`).
 *
 * @returns the folders, the dataset's own first
 * @throws MountError; the errors of the source; the signal's reason
 */
export async function mountDataset(source: MountSource, options: MountOptions): Promise<MountedFolder[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      const plans = await readFolderPlans(source, options);
      return await withRootLock(options, () => mountFolders(plans, options));
    } catch (error) {
      if (error instanceof DatasetChanged && attempt < MAX_ATTEMPTS) continue;
      throw mountErrorOf(error, options.root);
    }
  }
}

function mountErrorOf(error: unknown, root: string): unknown {
  const cause = { cause: error };
  if (error instanceof DatasetChanged) {
    const message = `The dataset kept changing while it was being mounted (${error.message}). Try again later.`;
    return new MountError('unstable', message, cause);
  }
  if (isDiskFull(error)) {
    const message = `The dataset does not fit on the disk of ${root}. Free some space and try again.`;
    return new MountError('no_space', message, cause);
  }
  if (hasErrno(error, ...UNWRITABLE)) {
    return new MountError('cannot_write', `Nothing can be mounted in ${root}: ${(error as Error).message}`, cause);
  }
  return error;
}

function isDiskFull(error: unknown): boolean {
  return hasErrno(error, 'ENOSPC', 'EDQUOT');
}

async function withRootLock<T>(
  { root, signal, onWaiting }: Pick<MountOptions, 'root' | 'signal' | 'onWaiting'>,
  work: () => Promise<T>,
): Promise<T> {
  await makeFolders(root).catch((error) => {
    throw new MountError('cannot_write', `${root} can't be created: ${error.message}`, { cause: error });
  });
  if ((await readRecord(root)) !== undefined) {
    const message = `${root} is a mounted dataset itself, and the trainer would read both datasets. Use the folder above it.`;
    throw new MountError('occupied', message);
  }
  await access(root, constants.W_OK);
  const release = await acquireLock(join(root, LOCK_NAME), { signal, onWaiting }).catch((error) => {
    throw error instanceof LockObstructed ? new MountError('cannot_write', error.message, { cause: error }) : error;
  });
  return work().finally(release);
}

/** Stages and checks all new folders before it moves the first into place. */
async function mountFolders(plans: readonly FolderPlan[], options: MountOptions): Promise<MountedFolder[]> {
  const placements: Placement[] = [];
  for (const plan of plans) {
    const paths = mountPathsOf(options.root, plan.dataset.name);
    const warnings = await recover(paths);
    const existing = await folderStateOf(paths.folder, wantedFilesOf(plan));
    const isOutdated = !isCurrent(existing, plan);
    if (isOutdated) await requireReplaceable(existing, { plan, paths, options });
    else await removeStaging(paths);
    placements.push({ plan, paths, existing, warnings, isOutdated });
  }
  const outdated = placements.filter(({ isOutdated }) => isOutdated);
  const isRemote = outdated.every(({ plan }) => plan.source.kind === 'remote');
  try {
    await stageAll(outdated, { ...options, isRemote });
    options.signal.throwIfAborted();
  } catch (error) {
    const canResume = isRemote && !isDiskFull(error) && !(error instanceof MountError);
    if (!canResume) for (const { paths } of outdated) await removeStaging(paths);
    throw error;
  }
  await moveIntoPlace(outdated);
  for (const { plan, paths, existing, warnings } of outdated) {
    // A folder that changed while the new one was written is kept.
    warnings.push(...(await removeAside(paths, { isDiscarded: options.replaces, wanted: wantedFilesOf(plan) })));
    if (existing.state === 'absent') warnings.push(...(await earlierNameWarnings(plan, options)));
  }
  return placements.map(({ plan, paths: { folder }, isOutdated, warnings }) => {
    return { outcome: isOutdated ? 'mounted' : 'unchanged', folder, warnings, plan };
  });
}

/** After a kill: restores a single old folder, or removes one that has a successor. */
async function recover(paths: MountPaths): Promise<string[]> {
  const old = await readRecord(paths.aside);
  if (old?.name !== paths.name || existsSync(paths.folder)) return removeAside(paths);
  // Beside it may stand controls of another moment, so it stays aside.
  if (old.mounted_with === undefined) await rename(paths.aside, paths.folder);
  return [];
}

function wantedFilesOf({ files }: FolderPlan): WantedFiles {
  return new Map(files.map(({ mountedName, upload }) => [mountedName, upload.sha256]));
}

function isCurrent(existing: FolderState, plan: FolderPlan): boolean {
  if (existing.state !== 'mounted') return false;
  const { record, changed, removed, added } = existing;
  const wanted = recordOf(plan, () => 0);
  // A dataset that has become a control has lost its captions.
  const partsOf = ({ name, digest, only, layout, mounted_with, files }: typeof wanted) => {
    // The groups of a layout change without the digest.
    const names = layout === undefined ? files.length : files.map((file) => file.mounted_name);
    return [name, digest, only, layout, mounted_with, names];
  };
  const isSame = isDeepStrictEqual(partsOf(record), partsOf(wanted));
  return isSame && changed.length + removed.length === 0 && added.every((name) => basename(name).startsWith('.'));
}

/** @throws MountError `occupied`, `changed` if files would be lost that neither trainyard nor the trainer wrote */
async function requireReplaceable(
  existing: FolderState,
  { plan, paths: { name, folder }, options }: { plan: FolderPlan; paths: MountPaths; options: MountOptions },
): Promise<void> {
  if (existing.state === 'absent') return;
  const { id } = plan.dataset;
  const record = existing.state === 'mounted' ? existing.record : undefined;
  const changes = existing.state === 'mounted' ? foreignChangesIn(existing) : [];
  const isKept = async () =>
    record?.source !== plan.source.name || changes.length > 0 || (await options.isInUse?.(record));
  if (record?.dataset_id !== id && !options.isNamed(name) && (await isKept())) {
    const what = record === undefined ? 'was not mounted by trainyard' : `holds another dataset, ${record.dataset_id}`;
    const message = `${[`${folder} ${what}`, ...changes].join('; ')}. Move it away. To replace it by the dataset ${id}, mount that by its name, ${JSON.stringify(name)}.`;
    throw new MountError('occupied', message);
  }
  if (options.replaces) return;
  if (record === undefined) {
    const message = `${folder} exists and was not mounted by trainyard. Move it away, or use --replace to overwrite it.`;
    throw new MountError('occupied', message);
  }
  if (record.dataset_id !== id && record.name !== name) {
    const message = `${folder} is the folder of "${record.name}" under another name, or the disk ignores case. Move it away, or use --replace to overwrite it.`;
    throw new MountError('occupied', message);
  }
  if (changes.length === 0) return;
  const message = `${folder} was changed after it was mounted (${changes.join('; ')}). Push the changes to "${name}", or use --replace to discard them.`;
  throw new MountError('changed', message);
}

/** Fills the staging folders with exactly the files of the plans. */
async function stageAll(
  placements: readonly Placement[],
  { isRemote, ...options }: MountOptions & { isRemote: boolean },
): Promise<void> {
  for (const { plan, paths } of placements) {
    const record = { source: plan.source.name, ...recordOf(plan, () => 0) };
    await openStaging(paths, record, { isResumable: isRemote });
  }
  if (isRemote) {
    const folders = placements.map(({ plan, paths }) => ({ folder: paths.staging, files: plan.files }));
    await requireSpace(options.root, folders);
  }
  for (const { plan, paths } of placements) {
    const { staging } = paths;
    await bringAll(plan, staging, options);
    const names = plan.files.map(({ mountedName }) => mountedName);
    const written = await readdir(staging, { recursive: true });
    if (written.length <= names.length + foldersOf(names).length) {
      throw caseConflict(`Names of two files of "${plan.dataset.name}"`, options.root);
    }
    await writeRecord(staging, {
      trainyard: packageVersion(),
      source: plan.source.name,
      mounted_at: new Date().toISOString(),
      ...recordOf(plan, ({ mountedName }) => lstatSync(join(staging, mountedName)).mtimeMs),
    });
    await flushFolder(staging, names);
  }
}

async function bringAll(
  { dataset, files }: FolderPlan,
  folder: string,
  { onProgress, ...options }: MountOptions,
): Promise<void> {
  const progress = { name: dataset.name, totalFiles: files.length, totalBytes: bytesOf(files) };
  let [doneFiles, doneBytes] = [0, 0];
  const onBytes = (bytes: number) => {
    doneBytes += bytes;
    onProgress?.({ ...progress, doneFiles, doneBytes });
  };
  const onFile = () => void doneFiles++;
  for (const source of new Set(files.map((file) => file.source))) {
    const ofSource = files.filter((file) => file.source === source);
    await bringFiles(folder, ofSource, { ...options, source, onBytes, onFile });
  }
  onBytes(0);
}

/** The target is set aside before its controls and moved in after them, so that it never has controls of another moment. */
async function moveIntoPlace(placements: readonly Placement[]): Promise<void> {
  const setAside: MountPaths[] = [];
  try {
    for (const { paths } of placements) {
      if (lstatSync(paths.folder, { throwIfNoEntry: false }) === undefined) continue;
      await rename(paths.folder, paths.aside);
      setAside.push(paths);
    }
  } catch (error) {
    for (const { folder, aside } of setAside) await rename(aside, folder);
    throw error;
  }
  for (const { paths } of placements.toReversed()) await rename(paths.staging, paths.folder);
  for (const { paths } of placements.slice(0, 1)) await syncFolder(paths.root);
}

/** The old folder of a renamed dataset stays, and the trainer could read both. */
async function earlierNameWarnings(
  { dataset: { id, name }, source }: FolderPlan,
  { root }: MountOptions,
): Promise<string[]> {
  const others = (await recordedFoldersIn(root)).filter((record) => {
    // Another service could give its datasets the same ids.
    return record.dataset_id === id && record.source === source.name && record.name !== name;
  });
  return others.map((record) => {
    return `${join(root, record.name)} has ${JSON.stringify(name)} under its earlier name. Remove it if no job reads it.`;
  });
}

/** Removes a folder that has only mounted files and caches. @throws MountError `changed`, `occupied`; it is unchanged then */
export async function unmountDataset(name: string, options: Pick<MountOptions, 'root' | 'signal'>): Promise<void> {
  const paths = mountPathsOf(options.root, name);
  await withRootLock(options, async () => {
    await recover(paths);
    const existing = await folderStateOf(paths.folder);
    if (existing.state !== 'mounted') return;
    const changes = foreignChangesIn(existing);
    if (changes.length > 0) {
      throw new MountError('changed', `${paths.folder} was changed after it was mounted (${changes.join('; ')}).`);
    }
    await rename(paths.folder, paths.aside);
    await removeAside(paths);
  });
}
