import { mediaTypeOf, mountedNameOf, stemOf } from '../../dataset/media.js';
import { chosenFiles, type MediaChoice, oneTrainerMaskOf } from '../../dataset/train/training-dataset.js';
import type { MountableDataset } from './check-manifest.js';
import type { SourcedLink, MountSet } from './mount-set.js';
import { MountError, type MountFile } from './mount-source.js';
import type { MountLayout, RecordedDataset } from './mounted-folder.js';
import type { FolderPlan } from './place/place-folders.js';

export interface FolderChoices {
  /** Mounts one kind of media of the dataset with its captions. Linked datasets are mounted whole. */
  readonly only?: MediaChoice | undefined;
  readonly layout?: MountLayout | undefined;
  /** The name of the folder was not asked for. */
  readonly isNameUnconfirmed?: boolean | undefined;
  /** Names of linked datasets that were asked for themselves. */
  readonly confirmedNames?: ReadonlySet<string> | undefined;
}

const plainName = ({ filename }: MountFile) => mountedNameOf(filename);

/**
 * The folders of a dataset and its linked datasets, the dataset's own first: one for each, or one for all.
 *
 * @throws MountError `kind_missing`, `failed`
 */
export function folderPlansOf(set: MountSet, choices: FolderChoices): readonly [FolderPlan, ...FolderPlan[]] {
  const { dataset, source, linked } = set;
  const { only, layout, isNameUnconfirmed, confirmedNames } = choices;
  const own = { source, files: filesToMount(dataset, only), nameOf: plainName, slot: undefined };
  if (own.files.length === 0) {
    throw new MountError('kind_missing', `"${dataset.name}" has no ${only}. Mount it without --only.`);
  }
  const onlyOf = isNameUnconfirmed ? { datasetId: dataset.datasetId } : undefined;
  const mountedWith = recordedDatasetsOf(dataset);
  const plan = { dataset, parts: [own], only, layout, mountedWith, onlyOf } as const;
  if (layout === 'onetrainer') return [{ ...plan, parts: [own, maskPartOf(set, own.files)] }];
  const linkedPlans = linked.map((each): FolderPlan => {
    const { datasetId, name } = each.dataset;
    const part = { source: each.source, files: filesToMount(each.dataset), nameOf: plainName, slot: undefined };
    const linkedOnlyOf = confirmedNames?.has(name) ? undefined : { datasetId, source: each.source.name };
    return { ...plan, dataset: each.dataset, parts: [part], only: undefined, onlyOf: linkedOnlyOf };
  });
  return [plan, ...linkedPlans];
}

/** Captions of a control or mask are left out: diffusion-pipe would take one for the image (`utils/dataset.py:632-634`). */
export function filesToMount<F extends { readonly filename: string }>(
  { role, files }: Pick<MountableDataset, 'role'> & { readonly files: readonly F[] },
  only?: MediaChoice,
): readonly F[] {
  const chosen = chosenFiles(files, only);
  return role === 'training' ? chosen : chosen.filter(({ filename }) => mediaTypeOf(filename)?.kind !== 'caption');
}

/** What the records of a dataset and its linked datasets say of the moment; `undefined` without links. */
export function recordedDatasetsOf({
  links,
  ...target
}: Pick<MountableDataset, 'datasetId' | 'name' | 'digest'> & {
  readonly links: readonly Pick<MountableDataset['links'][number], 'slot' | 'datasetId' | 'name' | 'digest'>[];
}): RecordedDataset[] | undefined {
  if (links.length === 0) return undefined;
  return [{ slot: 'target' as const, ...target }, ...links].map(({ slot, datasetId, name, digest }) => {
    return { as: slot, dataset_id: datasetId, name, digest };
  });
}

/** The masks of those images that are mounted, with the names by which OneTrainer finds them beside the images. */
function maskPartOf({ dataset, linked }: MountSet, targets: readonly MountFile[]): FolderPlan['parts'][number] {
  const { name } = dataset;
  const mask = linked.find((each): each is SourcedLink => each.link.slot === 'mask');
  if (mask === undefined) {
    throw new MountError('kind_missing', `"${name}" has no mask, which the layout is for. Mount it without --layout.`);
  }
  const media = targets.filter(({ filename }) => mediaTypeOf(filename)?.kind !== 'caption');
  const stems = new Set(media.map(({ filename }) => stemOf(filename)));
  const files = filesToMount(mask.dataset).filter(({ filename }) => {
    return mediaTypeOf(filename)?.kind === 'image' && stems.has(stemOf(filename));
  });
  const nameOf = ({ filename }: MountFile) => oneTrainerMaskOf(filename);
  const taken = new Set(targets.map(plainName));
  const twice = files.map(nameOf).find((maskName) => taken.has(maskName));
  if (twice !== undefined) {
    const message = `"${name}" has a file ${JSON.stringify(twice)} of its own, which is the name of a mask in this layout. Remove it, or mount without --layout.`;
    throw new MountError('failed', message);
  }
  return { source: mask.source, files, nameOf, slot: 'mask' };
}
