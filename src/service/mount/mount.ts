import { digestOf } from '../../dataset/digest.js';
import { hasErrno } from '../../dataset/errors.js';
import type { MediaChoice } from '../../dataset/train/training-dataset.js';
import { checkManifest } from './check-manifest.js';
import { type FolderChoices, folderPlansOf } from './folder-plans.js';
import { markForRemoval, mountPathsOf, removeLeftovers } from './mount-paths.js';
import { readLinkedDatasets } from './mount-set.js';
import { DatasetChanged, MountError, type MountLink, type MountSource, type WantedState } from './mount-source.js';
import { folderStateOf, type MountLayout } from './mounted-folder.js';
import {
  type FolderPlan,
  isDiskFull,
  type PlacementOptions,
  type PlacementResult,
  placeFolders,
} from './place/place-folders.js';
import { requireReplaceable } from './place/replaceable.js';
import { withRootLock } from './root-lock.js';

export interface MountOptions extends Omit<PlacementOptions, 'isLast'>, FolderChoices {
  /** Datasets are mounted in this folder, each under its name. A missing folder is created. */
  readonly root: string;
  /** Mounts only this state, which the source has to have been asked for. */
  readonly wanted: WantedState;
}

/** A folder of a mounted dataset. */
export interface MountedFolder extends PlacementResult {
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

/** The number of attempts if the dataset changes during the mount. */
const MAX_ATTEMPTS = 4;

/**
 * Writes a READY dataset as a folder for the trainer, and its linked datasets, in the states that they had at one moment, as
 * folders beside it. Each file is checked and written to a hidden staging folder, which is renamed into place when all are
 * complete. A folder with the same digest is left unchanged. A folder with another digest is replaced together with the
 * trainer's caches, because the trainer finds cached latents by filename, not by content (ai-toolkit
 * `toolkit/dataloader_mixins.py:1779-1825`), and cached texts by the path of the control (`:2135-2138`).
 *
 * @throws MountError; the errors of the source; the signal's reason. The folders are unchanged then.
 */
export async function mountDataset(source: MountSource, options: MountOptions): Promise<Mounted> {
  const { signal, wanted } = options;
  for (let attempt = 1; ; attempt++) {
    const dataset = checkManifest(await source.manifest(signal), wanted);
    const { name } = dataset;
    try {
      const set = { dataset, source, linked: await readLinkedDatasets({ dataset, source }, { signal }) };
      const plans = folderPlansOf(set, options);
      const results = await placeFolders(plans, { ...options, isLast: attempt >= MAX_ATTEMPTS });
      const [own, ...linkedFolders] = plans.map((plan, index) => mountedFolderOf(plan, results[index]!));
      return { ...own!, links: dataset.links, linkedFolders };
    } catch (error) {
      if (isDiskFull(error)) {
        const message = `"${name}" does not fit on the disk of ${options.root}. Free some space and try again.`;
        throw new MountError('no_space', message, { cause: error });
      }
      if (isUnwritable(error)) {
        throw new MountError('cannot_write', `"${name}" can't be mounted: ${error.message}`, { cause: error });
      }
      if (!(error instanceof DatasetChanged)) throw error;
      if (attempt < MAX_ATTEMPTS) continue;
      const message = `"${name}" kept changing while it was being mounted (${error.message}). Try again later.`;
      throw new MountError('unstable', message, { cause: error });
    }
  }
}

function mountedFolderOf({ dataset, parts, only, layout }: FolderPlan, result: PlacementResult): MountedFolder {
  const { datasetId, name, digest, revision } = dataset;
  // The dataset's own files have their names in the dataset.
  const mounted = parts.flatMap(({ files, nameOf, slot }) =>
    files.map((file) => ({ ...file, filename: slot === undefined ? file.filename : nameOf(file) })),
  );
  const folderDigest = digestOf(mounted.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  const bytes = mounted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { ...result, datasetId, name, digest, only, layout, folderDigest, revision, files: mounted.length, bytes };
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

function isUnwritable(error: unknown): error is Error {
  return hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG', 'EBUSY', 'ELOOP');
}
