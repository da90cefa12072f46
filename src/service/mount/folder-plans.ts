import type { LinkSlot } from '../../dataset/dataset.js';
import { mediaTypeOf, mountedNameOf, stemOf } from '../../dataset/media.js';
import { chosenFiles, type MediaChoice, oneTrainerMaskOf } from '../../dataset/train/training-dataset.js';
import {
  type MountableDataset,
  MountError,
  type MountFile,
  type MountSet,
  type MountSource,
  type PlacedFile,
} from './mount-source.js';
import type { MountLayout, MountRecord, RecordedDataset } from './mounted-folder.js';

export interface FolderChoices {
  /** Mounts one kind of media of the dataset with its captions. Linked datasets are mounted whole. */
  readonly only?: MediaChoice | undefined;
  readonly layout?: MountLayout | undefined;
}

/** A file of a folder, of the linked dataset `of` if the folder has files of several. */
interface PlannedFile extends PlacedFile {
  readonly of?: LinkSlot;
}

/** A folder to be mounted, with the name of the dataset. */
export interface FolderPlan extends FolderChoices {
  readonly dataset: MountableDataset;
  /** The files of the dataset, and in one layout those of its mask, each with their source. */
  readonly parts: readonly FolderPart[];
  /** Of all parts. */
  readonly files: readonly PlannedFile[];
  /** The source of the dataset. */
  readonly source: MountSource;
  /** Of a dataset with links. */
  readonly mountedWith: readonly RecordedDataset[] | undefined;
}

interface FolderPart {
  readonly source: MountSource;
  readonly files: readonly PlannedFile[];
}

/**
 * The folders of a dataset and its linked datasets, the dataset's own first: one for each, or one for all.
 *
 * @throws MountError `kind_missing`, `failed`
 */
export function folderPlansOf(set: MountSet, { only, layout }: FolderChoices = {}): FolderPlan[] {
  const { dataset, source, linked } = set;
  const own = { source, files: plannedFiles(dataset, only) };
  if (own.files.length === 0) {
    throw new MountError('kind_missing', `"${dataset.name}" has no ${only}. Mount it without --only.`);
  }
  const parts = layout === undefined ? [own] : [own, maskPartOf(set, own.files)];
  const files = parts.flatMap((part) => part.files);
  const plan = { dataset, source, parts, files, only, layout, mountedWith: togetherOf(dataset) };
  if (layout !== undefined) return [plan];
  const linkedPlans = linked.map((each) => {
    const part = { source: each.source, files: plannedFiles(each.dataset) };
    return { ...part, dataset: each.dataset, parts: [part], mountedWith: undefined };
  });
  return [plan, ...linkedPlans];
}

/** Captions of a control or mask are left out: diffusion-pipe would take one for the image (`utils/dataset.py:632-634`). */
function plannedFiles({ role, files }: MountableDataset, only?: MediaChoice): PlannedFile[] {
  const chosen = chosenFiles(files, only).filter((file) => role === 'training' || !isCaption(file));
  return chosen.map((file) => ({ ...file, mountedName: mountedNameOf(file.filename) }));
}

function isCaption({ filename }: MountFile): boolean {
  return mediaTypeOf(filename)?.kind === 'caption';
}

function togetherOf({ links, ...target }: MountableDataset): RecordedDataset[] | undefined {
  if (links.length === 0) return undefined;
  return [{ slot: 'target' as const, ...target }, ...links].map(({ slot, datasetId, name, digest }) => {
    return { as: slot, dataset_id: datasetId, name, digest };
  });
}

/** The masks of those images that are mounted, with the names by which OneTrainer finds them beside the images. */
function maskPartOf({ dataset, linked }: MountSet, targets: readonly PlannedFile[]): FolderPart {
  const { name } = dataset;
  const mask = linked.find(({ slot }) => slot === 'mask');
  if (mask === undefined) {
    throw new MountError('kind_missing', `"${name}" has no mask, which the layout is for. Mount it without --layout.`);
  }
  const stems = new Set(targets.filter((file) => !isCaption(file)).map(({ filename }) => stemOf(filename)));
  const files = mask.dataset.files
    .filter(({ filename }) => mediaTypeOf(filename)?.kind === 'image' && stems.has(stemOf(filename)))
    .map((file) => ({ ...file, mountedName: oneTrainerMaskOf(file.filename), of: 'mask' as const }));
  const taken = new Set(targets.map(({ mountedName }) => mountedName));
  const twice = files.find(({ mountedName }) => taken.has(mountedName))?.mountedName;
  if (twice !== undefined) {
    const message = `"${name}" has a file ${JSON.stringify(twice)} of its own, which is the name of a mask in this layout. Remove it, or mount without --layout.`;
    throw new MountError('failed', message);
  }
  return { source: mask.source, files };
}

/** The record of a folder. @param mtimeOf the modification time of a file in milliseconds since 1970 */
export function recordOf(
  { dataset, files, only, layout, mountedWith }: FolderPlan,
  mtimeOf: (file: PlacedFile) => number,
): Omit<MountRecord, 'format' | 'source'> {
  return {
    dataset_id: dataset.datasetId,
    name: dataset.name,
    digest: dataset.digest,
    ...(only !== undefined && { only }),
    ...(layout !== undefined && { layout }),
    ...(mountedWith !== undefined && { mounted_with: mountedWith }),
    files: files.map((file) => ({
      filename: file.filename,
      ...(file.of !== undefined && { of: file.of }),
      mounted_name: file.mountedName,
      sha256: file.sha256,
      size_bytes: file.sizeBytes,
      mtime_ms: mtimeOf(file),
    })),
  };
}
