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
  withLock,
} from './mount-paths.js';
import { type MountableDataset, MountError, type MountSource, mountable, SourceChanged } from './mount-source.js';
import { bootId, type FolderState, folderStateOf, makeRecord, readRecord, writeRecord } from './mounted-folder.js';
import { type StagingOptions, stageFiles } from './stage-files.js';

export interface MountOptions extends StagingOptions {
  /** The folder that datasets are mounted in, each under its name; made where it is missing. */
  readonly root: string;
  /** Only this state of the dataset will do. */
  readonly digest: string | undefined;
  /** Replaces also a folder that somebody else has changed or made. */
  readonly isForced: boolean;
  /** Another process is mounting into the same root, and is waited for. */
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
  /** What could not be cleared away, and doesn't matter to the trainer. */
  readonly warnings: readonly string[];
}

/** A dataset that keeps changing while it is mounted is given up after so many tries. */
const MAX_ATTEMPTS = 4;

/**
 * Makes a READY dataset a folder that the trainer can use, complete or not at all: it is written beside its place under a
 * hidden name, checked file by file, and put into place in one step. A folder that is there with the same digest is left
 * alone; one with another digest is replaced with everything that the trainer has cached in it, because those caches go by
 * names and not by contents (ai-toolkit `toolkit/dataloader_mixins.py:1779-1825`).
 *
 * @throws MountError; what the source throws; the signal's reason. The folder is as it was then.
 */
export async function mountDataset(source: MountSource, options: MountOptions): Promise<Mounted> {
  for (let attempt = 1; ; attempt++) {
    const dataset = mountable(await source.manifest(options.signal), options.digest);
    const place = mountPathsOf(options.root, dataset.name);
    try {
      return await mountInto(place, dataset, source, options);
    } catch (error) {
      // Without a network, starting again costs no more than going on.
      if (source.kind === 'data-folder') await rm(place.staging, { recursive: true, force: true });
      if (isDiskFull(error)) {
        await rm(place.staging, { recursive: true, force: true });
        const message = `"${dataset.name}" does not fit on the disk of ${options.root}. Free some space and try again.`;
        throw new MountError('no_space', message, { cause: error });
      }
      if (isUnwritable(error)) {
        throw new MountError('cannot_write', `"${dataset.name}" can't be mounted: ${error.message}`, { cause: error });
      }
      if (error instanceof MountError && error.code === 'damaged') {
        await rm(place.staging, { recursive: true, force: true });
      }
      if (!(error instanceof SourceChanged)) throw error;
      if (attempt < MAX_ATTEMPTS) continue;
      await rm(place.staging, { recursive: true, force: true });
      const message = `"${dataset.name}" kept changing while it was being mounted (${error.message}). Try again later.`;
      throw new MountError('unstable', message, { cause: error });
    }
  }
}

async function mountInto(
  place: MountPaths,
  dataset: MountableDataset,
  source: MountSource,
  options: MountOptions,
): Promise<Mounted> {
  const result = {
    datasetId: dataset.datasetId,
    name: dataset.name,
    digest: dataset.digest,
    folder: place.folder,
    files: dataset.files.length,
    bytes: dataset.files.reduce((sum, file) => sum + file.sizeBytes, 0),
  };
  if (isAsWanted(await folderStateOf(place.folder), dataset) && !(await hasLeftovers(place))) {
    return { ...result, outcome: 'unchanged', warnings: [] };
  }
  await mkdir(place.root, { recursive: true });
  if ((await readRecord(place.root)) !== undefined) {
    const message = `${place.root} is a mounted dataset itself, and the trainer would read both. Name the folder above it.`;
    throw new MountError('occupied', message);
  }
  return withLock(place.root, options, async () => {
    const warnings = await removeLeftovers(place);
    const standing = await folderStateOf(place.folder);
    if (isAsWanted(standing, dataset)) {
      await rm(place.staging, { recursive: true, force: true });
      return { ...result, outcome: 'unchanged', warnings };
    }
    mustBeOurs(standing, place, options);
    const files = await stageFiles(place.staging, dataset, source, options);
    await writeRecord(
      place.staging,
      makeRecord({
        trainyard: packageVersion(),
        dataset_id: dataset.datasetId,
        name: dataset.name,
        digest: dataset.digest,
        source: source.name,
        mounted_at: new Date().toISOString(),
        boot_id: await bootId(),
        files,
      }),
    );
    options.signal.throwIfAborted();
    // Somebody may have worked in it while the new one was on its way.
    mustBeOurs(await folderStateOf(place.folder), place, options);
    await moveIntoPlace(place);
    return { ...result, outcome: 'mounted', warnings: [...warnings, ...(await removeLeftovers(place))] };
  });
}

function isAsWanted(standing: FolderState, { digest }: MountableDataset): boolean {
  if (standing.state !== 'mounted' || standing.record.digest !== digest) return false;
  return standing.changed.length + standing.torn.length + standing.strangers.length === 0;
}

/** @throws MountError where something would be lost that is not ours to lose */
function mustBeOurs(
  standing: FolderState,
  { name, folder }: MountPaths,
  { isForced }: Pick<MountOptions, 'isForced'>,
): void {
  if (isForced || standing.state === 'absent') return;
  if (standing.state === 'foreign') {
    throw new MountError(
      'occupied',
      `${folder} exists and was not mounted by trainyard, so it stays as it is. Move it away, or replace it with --replace.`,
    );
  }
  const { changed, strangers, hiddenStrangers } = standing;
  const reasons = [
    ...(changed.length > 0 ? [`changed or removed since: ${listOf(changed)}`] : []),
    ...(strangers.length + hiddenStrangers.length > 0 ? [`added: ${listOf([...strangers, ...hiddenStrangers])}`] : []),
  ];
  if (reasons.length === 0) return;
  throw new MountError(
    'changed',
    `${folder} is not as it was mounted (${reasons.join('; ')}). Save what you need and push it to "${name}", or give it up with --replace.`,
  );
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}

/**
 * Takes a mounted dataset away again, if nothing is in its folder but what was mounted and what the trainer has cached.
 *
 * @throws MountError `changed`, `occupied`: the folder is as it was then
 */
export async function unmountDataset(
  name: string,
  options: Pick<MountOptions, 'root' | 'signal' | 'isForced' | 'onWaiting'>,
): Promise<void> {
  const place = mountPathsOf(options.root, name);
  await withLock(place.root, options, async () => {
    await removeLeftovers(place);
    const standing = await folderStateOf(place.folder);
    if (standing.state === 'absent') return;
    mustBeOurs(standing, place, options);
    await markForRemoval(place, place.folder);
    await removeLeftovers(place);
  });
}

function isDiskFull(error: unknown): boolean {
  return hasErrno(error, 'ENOSPC', 'EDQUOT');
}

function isUnwritable(error: unknown): error is Error {
  return hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG', 'EBUSY');
}
