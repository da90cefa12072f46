import { existsSync, lstatSync } from 'node:fs';
import { access, constants, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { hasErrno } from '../../dataset/errors.js';
import type { MediaChoice } from '../../dataset/train/training-dataset.js';
import { acquireLock, LockObstructed } from '../../storage/lock-file.js';
import { makeFolders } from '../../storage/make-folders.js';
import { flushFolder, syncFolder } from '../../storage/sync-folder.js';
import { packageVersion } from '../../version.js';
import type { CopyProgress } from '../transfer/copy-blobs.js';
import { type BringOptions, bringFiles, requireSpace } from './bring-files.js';
import { type FolderChoices, type FolderPlan, folderPlansOf, recordOf } from './folder-plans.js';
import {
  DatasetChanged,
  digestOfFiles,
  MountError,
  type MountLink,
  type MountSource,
  type PlacedFile,
  readMountSet,
  type WantedState,
} from './mount-source.js';
import {
  type FolderState,
  folderStateOf,
  foreignChangesIn,
  type MountLayout,
  type MountPaths,
  mountPathsOf,
  openStaging,
  readRecord,
  recordedFoldersIn,
  removeAside,
  removeStaging,
  writeRecord,
} from './mounted-folder.js';

const LOCK_NAME = '.trainyard-mount.lock';

/** The number of attempts if the dataset changes during the mount. */
const MAX_ATTEMPTS = 4;

/** Of a root or a folder that can't be written or renamed. */
const UNWRITABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG', 'EBUSY', 'ELOOP', 'EEXIST', 'ENOTEMPTY'];

export interface MountOptions extends FolderChoices, Pick<BringOptions, 'concurrency' | 'isHardLinked' | 'signal'> {
  /** Datasets are mounted in this folder, each under its name. A missing folder is created. */
  readonly root: string;
  /** Mounts only this state, which the source has to have been asked for. */
  readonly wanted: WantedState;
  /** Also replaces a folder that was changed or that trainyard did not mount. */
  readonly replaces: boolean;
  /** Whether a person has typed the name of a folder. Another one comes from a service, which could name any folder of the root. */
  readonly isNamed: (name: string) => boolean;
  readonly onProgress?: (progress: MountProgress) => void;
  /** Called if another process is mounting into the same root. */
  readonly onWaiting?: () => void;
}

/** Of one folder. */
export type MountProgress = CopyProgress & { readonly name: string };

/** A folder of a mounted dataset. */
export interface MountedFolder {
  readonly outcome: 'mounted' | 'unchanged';
  readonly folder: string;
  /** For a person. */
  readonly warnings: readonly string[];
  readonly datasetId: string;
  readonly name: string;
  /** Of all files of the dataset and its linked datasets. */
  readonly digest: string;
  readonly only: MediaChoice | undefined;
  readonly layout: MountLayout | undefined;
  /** Of the files that are mounted: another one than `digest` for a part of them, or with linked datasets. */
  readonly folderDigest: string;
  /** `undefined` if the service has no history. */
  readonly revision: number | undefined;
  readonly files: number;
  readonly bytes: number;
}

export interface Mounted extends MountedFolder {
  /** The states of the linked datasets. */
  readonly links: readonly MountLink[];
  /** Their folders, in the same order; empty in a layout with a single folder. */
  readonly linkedFolders: readonly MountedFolder[];
}

/** A folder while it is mounted. */
interface Placement {
  readonly plan: FolderPlan;
  readonly paths: MountPaths;
  readonly existing: FolderState;
  readonly isOutdated: boolean;
  readonly warnings: string[];
}

/**
 * Writes a READY dataset as a folder for the trainer, and its linked datasets, in the states that they had at one moment, as
 * folders beside it. Each file is checked and written to a hidden staging folder, which is renamed into place when all are
 * complete. A folder with the same digest is left unchanged. A folder with another digest is replaced together with the
 * trainer's caches, because the trainer finds cached latents by filename, not by content (ai-toolkit
 * `toolkit/dataloader_mixins.py:1779-1825`), and cached texts by the path of the control (`:2135-2138`).
 *
 * @throws MountError; the errors of the source; the signal's reason
 */
export async function mountDataset(source: MountSource, options: MountOptions): Promise<Mounted> {
  const { signal, wanted, root } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      const set = await readMountSet(source, { wanted, signal });
      const plans = folderPlansOf(set, options);
      const placements = await withRootLock(options, () => place(plans, options));
      const [own, ...linkedFolders] = placements.map(mountedFolderOf);
      return { ...own!, links: set.dataset.links, linkedFolders };
    } catch (error) {
      if (error instanceof DatasetChanged && attempt < MAX_ATTEMPTS) continue;
      throw mountErrorOf(error, root);
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

/** Runs `work` while no other process mounts into the root. */
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

/** Brings folders up to date. All new ones are staged and checked before the first of them is moved into place. */
async function place(plans: readonly FolderPlan[], options: MountOptions): Promise<Placement[]> {
  const placements: Placement[] = [];
  for (const plan of plans) {
    const paths = mountPathsOf(options.root, plan.dataset.name);
    const warnings = await recover(paths);
    const existing = await folderStateOf(paths.folder);
    const placement = { plan, paths, existing, warnings, isOutdated: !isCurrent(existing, plan) };
    if (placement.isOutdated) requireReplaceable(placement, options);
    else await removeStaging(paths);
    placements.push(placement);
  }
  const outdated = placements.filter(({ isOutdated }) => isOutdated);
  const isRemote = outdated.every(({ plan }) => plan.source.kind === 'remote');
  try {
    await stageAll(outdated, { ...options, isRemote });
    options.signal.throwIfAborted();
    // An old folder may have been changed while the new ones were written.
    for (const placement of outdated) {
      requireReplaceable({ ...placement, existing: await folderStateOf(placement.paths.folder) }, options);
    }
  } catch (error) {
    const canResume = isRemote && !isDiskFull(error) && !(error instanceof MountError);
    if (!canResume) for (const { paths } of outdated) await removeStaging(paths);
    throw error;
  }
  await moveIntoPlace(outdated);
  for (const { plan, paths, existing, warnings } of outdated) {
    warnings.push(...(await removeAside(paths, { isDiscarded: options.replaces })));
    if (existing.state === 'absent') warnings.push(...(await earlierNameWarnings(plan, options)));
  }
  return placements;
}

/** Restores the old folder if a mount was killed while it replaced a single one, and removes one that has a successor. */
async function recover(paths: MountPaths): Promise<string[]> {
  const old = await readRecord(paths.aside);
  if (old?.name !== paths.name || existsSync(paths.folder)) return removeAside(paths);
  // Beside it may stand controls of another moment. It stays aside until this mount has replaced it.
  if (old.mounted_with === undefined) await rename(paths.aside, paths.folder);
  return [];
}

function isCurrent(existing: FolderState, { dataset, files, only, layout, mountedWith }: FolderPlan): boolean {
  if (existing.state !== 'mounted') return false;
  const { record, changed, removed, added } = existing;
  const wanted = [dataset.digest, dataset.name, only, layout];
  if (!isDeepStrictEqual([record.digest, record.name, record.only, record.layout], wanted)) return false;
  if (mountedWith !== undefined && !isDeepStrictEqual(record.mounted_with, mountedWith)) return false;
  // Captions of a dataset that has become a control are left out.
  if (record.files.length !== files.length) return false;
  return changed.length + removed.length === 0 && added.every((name) => name.startsWith('.'));
}

/** @throws MountError `occupied`, `changed` if files would be lost that neither trainyard nor the trainer wrote */
function requireReplaceable(
  { existing, paths: { name, folder }, plan }: Pick<Placement, 'existing' | 'paths' | 'plan'>,
  { replaces, isNamed }: Pick<MountOptions, 'replaces' | 'isNamed'>,
): void {
  if (existing.state === 'absent') return;
  const record = existing.state === 'mounted' ? existing.record : undefined;
  const changes = existing.state === 'mounted' ? foreignChangesIn(existing) : [];
  const { datasetId } = plan.dataset;
  const isOwn = record?.dataset_id === datasetId;
  const isOfSource = record?.source === plan.source.name;
  if (!isOwn && !isNamed(name) && (!isOfSource || changes.length > 0)) {
    const what = record === undefined ? 'was not mounted by trainyard' : `holds another dataset, ${record.dataset_id}`;
    const message = `${[`${folder} ${what}`, ...changes].join('; ')}. Move it away. To replace it by the dataset ${datasetId}, mount that by its name, ${JSON.stringify(name)}.`;
    throw new MountError('occupied', message);
  }
  if (replaces) return;
  if (record === undefined) {
    const message = `${folder} exists and was not mounted by trainyard. Move it away, or use --replace to overwrite it.`;
    throw new MountError('occupied', message);
  }
  if (changes.length === 0) return;
  const message = `${folder} was changed after it was mounted (${changes.join('; ')}). Push the changes to "${name}", or use --replace to discard them.`;
  throw new MountError('changed', message);
}

/** Fills the staging folders with exactly the files of the plans, each checked against its size and SHA-256. */
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
    await writeRecord(staging, {
      trainyard: packageVersion(),
      source: plan.source.name,
      mounted_at: new Date().toISOString(),
      ...recordOf(plan, ({ mountedName }) => lstatSync(join(staging, mountedName)).mtimeMs),
    });
    await flushFolder(
      staging,
      plan.files.map(({ mountedName }) => mountedName),
    );
  }
}

/** Brings the files of a plan into its staging folder. */
async function bringAll(
  { dataset, parts, files }: FolderPlan,
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
  for (const part of parts) {
    await bringFiles(folder, part.files, { ...options, source: part.source, onBytes, onFile });
  }
  onBytes(0);
}

/**
 * Moves staged folders into place, and the old ones aside. The first, the target, is set aside before and moved in after its
 * controls: between them there is none, rather than one with controls of another moment.
 */
async function moveIntoPlace(placements: readonly Placement[]): Promise<void> {
  const setAside: MountPaths[] = [];
  try {
    for (const { paths, existing } of placements) {
      if (existing.state === 'absent') continue;
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

/** A dataset that was renamed gets a new folder. The old one stays, and the trainer could read both. */
async function earlierNameWarnings(
  { dataset: { datasetId, name }, source }: FolderPlan,
  { root }: MountOptions,
): Promise<string[]> {
  const others = (await recordedFoldersIn(root)).filter((record) => {
    // Another service could give its datasets the same ids.
    return record.dataset_id === datasetId && record.source === source.name && record.name !== name;
  });
  return others.map((record) => {
    return `${join(root, record.name)} has ${JSON.stringify(name)} under its earlier name. Remove it if no job reads it.`;
  });
}

function mountedFolderOf({ plan, paths, isOutdated, warnings }: Placement): MountedFolder {
  const { dataset, files, only, layout } = plan;
  const { datasetId, name, digest, revision } = dataset;
  // The dataset's own files have their names in the dataset.
  const named = files.map(({ filename, mountedName, of, sha256 }) => {
    return { filename: of === undefined ? filename : mountedName, sha256 };
  });
  return {
    outcome: isOutdated ? 'mounted' : 'unchanged',
    folder: paths.folder,
    warnings,
    ...{ datasetId, name, digest, only, layout, revision },
    folderDigest: digestOfFiles(named),
    files: files.length,
    bytes: bytesOf(files),
  };
}

function bytesOf(files: readonly PlacedFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/**
 * Removes a mounted dataset if its folder holds only the mounted files and the trainer's caches.
 *
 * @throws MountError `changed`, `occupied`. The folder is unchanged then.
 */
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
