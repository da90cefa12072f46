import { digestOf } from '../../dataset/digest.js';
import { hasErrno } from '../../dataset/errors.js';
import { chosenFiles, type MediaChoice } from '../../dataset/train/training-dataset.js';
import { makeFolders } from '../../make-folders.js';
import { packageVersion } from '../../version.js';
import {
  hasLeftovers,
  type MountPaths,
  markForRemoval,
  mountPathsOf,
  moveIntoPlace,
  removeLeftovers,
} from './mount-paths.js';
import {
  checkManifest,
  DatasetChanged,
  type MountableDataset,
  MountError,
  type MountSource,
  type WantedState,
} from './mount-source.js';
import { bootId, type FolderState, folderStateOf, readRecord, writeRecord } from './mounted-folder.js';
import { withRootLock } from './root-lock.js';
import { type StagingOptions, stageFiles } from './stage-files.js';
import { closeStaging, discardStaging } from './staging-folder.js';

export interface MountOptions extends StagingOptions {
  /** Datasets are mounted in this folder, each under its name. A missing folder is created. */
  readonly root: string;
  /** Mounts only this state, which the source has to have been asked for. */
  readonly wanted: WantedState;
  /** Mounts one kind of media with its captions. A folder with another choice is replaced. */
  readonly only?: MediaChoice | undefined;
  /** Also replaces a folder that was changed or that trainyard did not mount. */
  readonly replaces: boolean;
  /** Replaces no folder of another dataset: the dataset was not asked for by the name that its source says it has. */
  readonly isNameUnconfirmed?: boolean;
  /** Called if another process is mounting into the same root. */
  readonly onWaiting?: () => void;
}

export interface Mounted {
  readonly outcome: 'mounted' | 'unchanged';
  readonly datasetId: string;
  readonly name: string;
  /** Of all files of the dataset. */
  readonly digest: string;
  readonly only: MediaChoice | undefined;
  /** Of the files that are mounted: another one than `digest` if `only` leaves out files. */
  readonly folderDigest: string;
  /** `undefined` if the service has no history. */
  readonly revision: number | undefined;
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
  /** What is left beside the folder, and why. The trainer does not read it. */
  readonly warnings: readonly string[];
}

/** The number of attempts if the dataset changes during the mount. */
const MAX_ATTEMPTS = 4;

/**
 * Writes a READY dataset as a folder for the trainer: each file is checked and written to a hidden staging folder, which is
 * renamed into place when it is complete. A folder with the same digest is left unchanged. A folder with another digest is
 * replaced together with the trainer's caches, because the trainer finds cached latents by filename, not by content
 * (ai-toolkit `toolkit/dataloader_mixins.py:1779-1825`).
 *
 * @throws MountError; the errors of the source; the signal's reason. The folder is unchanged then.
 */
export async function mountDataset(source: MountSource, options: MountOptions): Promise<Mounted> {
  for (let attempt = 1; ; attempt++) {
    const dataset = chosenOf(checkManifest(await source.manifest(options.signal), options.wanted), options.only);
    const paths = mountPathsOf(options.root, dataset.name);
    try {
      const isLast = attempt >= MAX_ATTEMPTS;
      return await mountInto(paths, dataset, source, { ...options, isLast });
    } catch (error) {
      if (isDiskFull(error)) {
        const message = `"${dataset.name}" does not fit on the disk of ${options.root}. Free some space and try again.`;
        throw new MountError('no_space', message, { cause: error });
      }
      if (isUnwritable(error)) {
        throw new MountError('cannot_write', `"${dataset.name}" can't be mounted: ${error.message}`, { cause: error });
      }
      if (!(error instanceof DatasetChanged)) throw error;
      if (attempt < MAX_ATTEMPTS) continue;
      const message = `"${dataset.name}" kept changing while it was being mounted (${error.message}). Try again later.`;
      throw new MountError('unstable', message, { cause: error });
    }
  }
}

/** @throws MountError `kind_missing` */
function chosenOf(dataset: MountableDataset, only: MediaChoice | undefined): MountableDataset {
  const files = chosenFiles(dataset.files, only);
  if (files.length > 0) return { ...dataset, files };
  throw new MountError('kind_missing', `"${dataset.name}" has no ${only}. Mount it without --only.`);
}

async function mountInto(
  paths: MountPaths,
  dataset: MountableDataset,
  source: MountSource,
  options: MountOptions & { isLast: boolean },
): Promise<Mounted> {
  const { datasetId, name, digest, revision } = dataset;
  const bytes = dataset.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const replacement = { replaces: options.replaces, onlyDataset: options.isNameUnconfirmed ? datasetId : undefined };
  const { only } = options;
  const folderDigest = digestOf(dataset.files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  const { folder } = paths;
  const result = { datasetId, name, digest, only, folderDigest, revision, folder, files: dataset.files.length, bytes };
  const isUpToDate = (existing: FolderState) => isUnchanged(existing, { digest, only });
  if (isUpToDate(await folderStateOf(paths.folder)) && !(await hasLeftovers(paths))) {
    return { ...result, outcome: 'unchanged', warnings: [] };
  }
  await makeFolders(paths.root).catch((error) => {
    throw new MountError('cannot_write', `${paths.root} can't be created: ${error.message}`, { cause: error });
  });
  if ((await readRecord(paths.root)) !== undefined) {
    const message = `${paths.root} is a mounted dataset itself, and the trainer would read both datasets. Use the folder above it.`;
    throw new MountError('occupied', message);
  }
  return withRootLock(paths.root, options, async () => {
    const warnings = await removeLeftovers(paths);
    const existing = await folderStateOf(paths.folder);
    if (isUpToDate(existing)) {
      return { ...result, outcome: 'unchanged', warnings: [...warnings, ...(await discardStaging(paths))] };
    }
    requireReplaceable(existing, paths, replacement);
    const { files, warnings: stagingWarnings } = await stageFiles(paths, dataset, source, options).catch(
      async (error) => {
        const isUnstable = error instanceof DatasetChanged && options.isLast;
        const isDamaged = error instanceof MountError && error.code === 'damaged';
        // Copying a data folder can't be resumed.
        if (source.kind === 'data-folder' || isDiskFull(error) || isDamaged || isUnstable) await discardStaging(paths);
        throw error;
      },
    );
    await writeRecord(paths.staging, {
      trainyard: packageVersion(),
      dataset_id: datasetId,
      name,
      digest,
      ...(only !== undefined && { only }),
      source: source.name,
      mounted_at: new Date().toISOString(),
      boot_id: await bootId(),
      files,
    });
    await closeStaging(paths);
    options.signal.throwIfAborted();
    // The old folder may have been changed while the new one was written.
    requireReplaceable(await folderStateOf(paths.folder), paths, replacement);
    await moveIntoPlace(paths);
    const leftovers = await removeLeftovers(paths);
    return { ...result, outcome: 'mounted', warnings: [...new Set([...warnings, ...stagingWarnings, ...leftovers])] };
  });
}

function isUnchanged(
  existing: FolderState,
  { digest, only }: { digest: string; only: MediaChoice | undefined },
): boolean {
  if (existing.state !== 'mounted') return false;
  const { record, changed, halfWritten, unexpected } = existing;
  if (record.digest !== digest || record.only !== only) return false;
  return changed.length + halfWritten.length + unexpected.length === 0;
}

/** @throws MountError if files would be lost that neither trainyard nor the trainer wrote */
function requireReplaceable(
  existing: FolderState,
  { name, folder }: MountPaths,
  { replaces, onlyDataset }: { replaces: boolean; onlyDataset?: string | undefined },
): void {
  if (existing.state === 'absent') return;
  const holds = existing.state === 'mounted' ? existing.record.dataset_id : undefined;
  if (onlyDataset !== undefined && holds !== onlyDataset) {
    const message = `${folder} does not hold the dataset ${onlyDataset}. To replace it, mount the dataset by its name, ${JSON.stringify(name)}.`;
    throw new MountError('occupied', message);
  }
  if (replaces) return;
  if (existing.state === 'foreign') {
    const message = `${folder} exists and was not mounted by trainyard. Move it away, or use --replace to overwrite it.`;
    throw new MountError('occupied', message);
  }
  const added = [...existing.unexpected, ...existing.unexpectedHidden];
  const reasons = [
    ...(existing.changed.length > 0 ? [`changed or removed: ${listOf(existing.changed)}`] : []),
    ...(added.length > 0 ? [`added: ${listOf(added)}`] : []),
  ];
  if (reasons.length === 0) return;
  const message = `${folder} was changed after it was mounted (${reasons.join('; ')}). Push the changes to "${name}", or use --replace to discard them.`;
  throw new MountError('changed', message);
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}

/**
 * Removes a mounted dataset if its folder holds only the mounted files and the trainer's caches.
 *
 * @throws MountError `changed`, `occupied`. The folder is unchanged then.
 */
export async function unmountDataset(
  name: string,
  options: Pick<MountOptions, 'root' | 'signal' | 'replaces' | 'onWaiting'>,
): Promise<void> {
  const paths = mountPathsOf(options.root, name);
  await withRootLock(paths.root, options, async () => {
    await removeLeftovers(paths);
    const existing = await folderStateOf(paths.folder);
    if (existing.state === 'absent') return;
    requireReplaceable(existing, paths, options);
    await markForRemoval(paths, paths.folder);
    await removeLeftovers(paths);
  });
}

function isDiskFull(error: unknown): boolean {
  return hasErrno(error, 'ENOSPC', 'EDQUOT');
}

function isUnwritable(error: unknown): error is Error {
  return hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG', 'EBUSY', 'ELOOP');
}
