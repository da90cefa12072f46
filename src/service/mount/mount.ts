import { mkdir, rm } from 'node:fs/promises';
import { hasErrno } from '../../dataset/errors.js';
import { packageVersion } from '../../version.js';
import {
  hasLeftovers,
  type MountPaths,
  markForRemoval,
  mountPathsOf,
  moveIntoPlace,
  removeLeftovers,
  withRootLock,
} from './mount-paths.js';
import { checkManifest, DatasetChanged, type MountableDataset, MountError, type MountSource } from './mount-source.js';
import { bootId, type FolderState, folderStateOf, readRecord, writeRecord } from './mounted-folder.js';
import { type StagingOptions, stageFiles } from './stage-files.js';

export interface MountOptions extends StagingOptions {
  /** Datasets are mounted in this folder, each under its name. A missing folder is created. */
  readonly root: string;
  /** Mounts only if the dataset has this digest. */
  readonly digest: string | undefined;
  /** Also replaces a folder that was changed or that trainyard did not mount. */
  readonly replaces: boolean;
  /** Called if another process is mounting into the same root. */
  readonly onWaiting?: () => void;
}

export interface Mounted {
  readonly outcome: 'mounted' | 'unchanged';
  readonly datasetId: string;
  readonly name: string;
  readonly digest: string;
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
  /** Old folders that could not be removed; the trainer does not read them. */
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
    const dataset = checkManifest(await source.manifest(options.signal), options.digest);
    const paths = mountPathsOf(options.root, dataset.name);
    try {
      return await mountInto(paths, dataset, source, options);
    } catch (error) {
      const isUnstable = error instanceof DatasetChanged && attempt >= MAX_ATTEMPTS;
      const isDamaged = error instanceof MountError && error.code === 'damaged';
      // Copying a data folder can't be resumed.
      if (source.kind === 'data-folder' || isDiskFull(error) || isDamaged || isUnstable) {
        await rm(paths.staging, { recursive: true, force: true });
      }
      if (isDiskFull(error)) {
        const message = `"${dataset.name}" does not fit on the disk of ${options.root}. Free some space and try again.`;
        throw new MountError('no_space', message, { cause: error });
      }
      if (isUnwritable(error)) {
        throw new MountError('cannot_write', `"${dataset.name}" can't be mounted: ${error.message}`, { cause: error });
      }
      if (!(error instanceof DatasetChanged)) throw error;
      if (!isUnstable) continue;
      const message = `"${dataset.name}" kept changing while it was being mounted (${error.message}). Try again later.`;
      throw new MountError('unstable', message, { cause: error });
    }
  }
}

async function mountInto(
  paths: MountPaths,
  dataset: MountableDataset,
  source: MountSource,
  options: MountOptions,
): Promise<Mounted> {
  const { datasetId, name, digest } = dataset;
  const bytes = dataset.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const result = { datasetId, name, digest, folder: paths.folder, files: dataset.files.length, bytes };
  if (isUpToDate(await folderStateOf(paths.folder), dataset) && !(await hasLeftovers(paths))) {
    return { ...result, outcome: 'unchanged', warnings: [] };
  }
  await mkdir(paths.root, { recursive: true });
  if ((await readRecord(paths.root)) !== undefined) {
    const message = `${paths.root} is a mounted dataset itself, and the trainer would read both datasets. Use the folder above it.`;
    throw new MountError('occupied', message);
  }
  return withRootLock(paths.root, options, async () => {
    const warnings = await removeLeftovers(paths);
    const existing = await folderStateOf(paths.folder);
    if (isUpToDate(existing, dataset)) {
      await rm(paths.staging, { recursive: true, force: true });
      return { ...result, outcome: 'unchanged', warnings };
    }
    requireReplaceable(existing, paths, options);
    const files = await stageFiles(paths.staging, dataset, source, options);
    await writeRecord(paths.staging, {
      trainyard: packageVersion(),
      dataset_id: datasetId,
      name,
      digest,
      source: source.name,
      mounted_at: new Date().toISOString(),
      boot_id: await bootId(),
      files,
    });
    options.signal.throwIfAborted();
    // The old folder may have been changed while the new one was written.
    requireReplaceable(await folderStateOf(paths.folder), paths, options);
    await moveIntoPlace(paths);
    return { ...result, outcome: 'mounted', warnings: [...warnings, ...(await removeLeftovers(paths))] };
  });
}

function isUpToDate(existing: FolderState, { digest }: MountableDataset): boolean {
  if (existing.state !== 'mounted' || existing.record.digest !== digest) return false;
  return existing.changed.length + existing.halfWritten.length + existing.unexpected.length === 0;
}

/** @throws MountError if files would be lost that neither trainyard nor the trainer wrote */
function requireReplaceable(
  existing: FolderState,
  { name, folder }: MountPaths,
  { replaces }: Pick<MountOptions, 'replaces'>,
): void {
  if (replaces || existing.state === 'absent') return;
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
  return hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG', 'EBUSY');
}
