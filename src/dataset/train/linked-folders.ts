import { mediaTypeOf, mountedNameOf, stemOf } from '../media.js';
import { folderOfTraining, type LinkedFolder, type TrainingDataset, type TrainingFile } from './training-dataset.js';

export function controlsOf({ links }: TrainingDataset): readonly LinkedFolder[] {
  return links.filter(({ slot }) => slot !== 'mask');
}

export function maskOf({ links }: TrainingDataset): LinkedFolder | undefined {
  return links.find(({ slot }) => slot === 'mask');
}

/** The folder of a linked dataset. */
export function linkedPathOf({ root }: Pick<TrainingDataset, 'root'>, { name }: LinkedFolder): string {
  return folderOfTraining({ root, name });
}

/** A training file and the file of a linked dataset with the same stem. */
interface TrainingPair {
  readonly target: TrainingFile;
  readonly linked: TrainingFile;
}

/** The pairs of a target and a linked dataset; `undefined` if its files were not read. */
function pairsWith({ images, clips }: TrainingDataset, { files }: LinkedFolder): TrainingPair[] | undefined {
  const byStem = new Map(files?.filter(isMedia).map((file) => [stemOf(file.filename), file]));
  return (
    files &&
    [...images, ...clips].flatMap((target) => {
      const linked = byStem.get(stemOf(target.filename));
      return linked === undefined ? [] : [{ target, linked }];
    })
  );
}

/** How many files of a linked dataset have other sides than their targets; 0 if that is not known. */
export function unequalSizes(dataset: TrainingDataset, link: LinkedFolder): number {
  const isUnequal = ({ target, linked }: TrainingPair) =>
    Boolean(target.width && linked.width) && (target.width !== linked.width || target.height !== linked.height);
  return pairsWith(dataset, link)?.filter(isUnequal).length ?? 0;
}

/** How many files of a linked dataset have another extension than their targets; 0 if that is not known. */
export function otherExtensions(dataset: TrainingDataset, link: LinkedFolder): number {
  const isOther = ({ target, linked }: TrainingPair) =>
    mountedNameOf(target.filename) !== mountedNameOf(linked.filename);
  return pairsWith(dataset, link)?.filter(isOther).length ?? 0;
}

/** The files of a linked dataset that no target has the stem of. */
export function extraFilesIn({ images, clips }: TrainingDataset, { files = [] }: LinkedFolder): TrainingFile[] {
  const stems = new Set([...images, ...clips].map(({ filename }) => stemOf(filename)));
  return files.filter((file) => isMedia(file) && !stems.has(stemOf(file.filename)));
}

/** The mounted file of a linked dataset with a stem; `undefined` if it has none, or its files were not read. */
export function linkedFileOf(link: LinkedFolder, stem: string): string | undefined {
  const file = link.files?.find((each) => isMedia(each) && stemOf(each.filename) === stem);
  return file && mountedNameOf(file.filename);
}

function isMedia({ filename }: TrainingFile): boolean {
  const kind = mediaTypeOf(filename)?.kind;
  return kind === 'image' || kind === 'video';
}
