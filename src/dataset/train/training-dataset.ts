import type { LinkSlot } from '../dataset.js';
import { type Group, kohyaFolderOf, NEW_GROUP } from '../groups.js';
import { type FileKind, isStructuredCaption, isTextCaption, mediaTypeOf, stemOf } from '../media.js';

export const MEDIA_CHOICES = ['images', 'videos'] as const;

/** What `mount --only` mounts, with its captions. */
export type MediaChoice = (typeof MEDIA_CHOICES)[number];

/** All files without a choice. */
export function chosenFiles<F extends { readonly filename: string }>(
  files: readonly F[],
  only: MediaChoice | undefined,
): readonly F[] {
  if (only === undefined) return files;
  const isOfKind = ({ filename }: F) => mediaTypeOf(filename)?.kind === (only === 'images' ? 'image' : 'video');
  const stems = new Set(files.filter(isOfKind).map(({ filename }) => stemOf(filename)));
  const isCaption = ({ filename }: F) => mediaTypeOf(filename)?.kind === 'caption' && stems.has(stemOf(filename));
  return files.filter((file) => isOfKind(file) || isCaption(file));
}

/** `modules/dataLoader/mixin/DataLoaderText2ImageMixin.py:76` of OneTrainer. */
export const ONETRAINER_MASK_ENDING = '-masklabel.png';

/** OneTrainer identifies the content by its bytes (mgds `LoadImage.py:55-84`). */
export function oneTrainerMaskOf(filename: string): string {
  return stemOf(filename) + ONETRAINER_MASK_ENDING;
}

export interface TrainingFile {
  readonly filename: string;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly frames?: number | undefined;
  readonly frames_per_second?: number | undefined;
  readonly has_audio?: boolean | undefined;
  readonly group?: string | undefined;
  readonly warnings?: readonly { readonly code: string }[] | undefined;
}

/** Mounted in a folder beside its target. */
export interface LinkedFolder {
  readonly slot: LinkSlot;
  readonly name: string;
  /** `undefined` if they were not read. */
  readonly files?: readonly TrainingFile[] | undefined;
}

export interface DatasetToTrain {
  readonly name: string;
  /** Contains the mounted folders, as the trainer sees it. */
  readonly root: string;
  /** Only of a READY dataset. */
  readonly digest?: string | undefined;
  readonly only?: MediaChoice | undefined;
  readonly files: readonly TrainingFile[];
  /** `undefined` if they were not read; then advice about captions of several lines is general. */
  readonly captions?: readonly { readonly filename: string; readonly text: string | null }[] | undefined;
  /** Controls, then the mask. */
  readonly links?: readonly LinkedFolder[] | undefined;
  readonly groups?:
    | readonly { readonly name: string; readonly repeats: number; readonly is_reg: boolean }[]
    | undefined;
}

/** A folder that a trainer reads: of a dataset, or of one of its groups. */
export type TrainingDataset = ReturnType<typeof trainingDatasetOf>;

/** Whether trainers need a folder for each group, as the layout `kohya` of a mount has them. */
export function needsGroupFolders({ groups = [] }: Pick<DatasetToTrain, 'groups'>): boolean {
  return groups.some(({ repeats, is_reg }) => repeats > 1 || is_reg);
}

/** A folder for each group with repeats, or one for all. */
export function trainingDatasetsOf(dataset: DatasetToTrain): TrainingDataset[] {
  if (!needsGroupFolders(dataset)) return [trainingDatasetOf(dataset)];
  const { name, files, captions, links = [] } = dataset;
  const groups = (dataset.groups ?? []).map((group) => ({ ...group, isReg: group.is_reg }));
  const folderOf = kohyaFolderOf(name, groups);
  // Captions may come without their group.
  const grouped = files.toSorted((a, b) => Number(a.group !== undefined) - Number(b.group !== undefined));
  const folders = new Map(grouped.map(({ filename, group }) => [stemOf(filename), folderOf(group)]));
  const parts = [...new Set(folders.values())].sort().map((groupFolder) => {
    const isIn = ({ filename }: { filename: string }) =>
      (folders.get(stemOf(filename)) ?? folderOf(undefined)) === groupFolder;
    const { repeats, isReg } = groups.find((group) => folderOf(group.name) === groupFolder) ?? NEW_GROUP;
    const part = {
      ...dataset,
      files: files.filter(isIn),
      captions: captions?.filter(isIn),
      links: links.map((link) => ({ ...link, files: link.files?.filter(isIn) })),
    };
    return trainingDatasetOf(part, { groupFolder, repeats, isReg });
  });
  return parts.filter(({ images, clips }) => images.length + clips.length > 0);
}

/** @param group `undefined` for a flat folder */
export function trainingDatasetOf(dataset: DatasetToTrain, group?: Omit<Group, 'name'> & { groupFolder: string }) {
  const { name, root, only, digest, files, captions, links = [] } = dataset;
  const chosen = chosenFiles(files, only);
  // Only what ai-toolkit trains on.
  const ofKind = (kind: FileKind) =>
    chosen.filter(({ filename }) => mediaTypeOf(filename)?.kind === kind && mediaTypeOf(filename)?.trainable);
  const [images, clips] = [ofKind('image'), ofKind('video')];
  const stems = new Set(
    chosen.filter(({ filename }) => isTextCaption(filename)).map(({ filename }) => stemOf(filename)),
  );
  return {
    ...{ name, group, digest, images, clips, links },
    root: root.replace(/(?<=.)\/+$/, ''),
    /** Files without a caption file. */
    uncaptioned: [...images, ...clips].filter(({ filename }) => !stems.has(stemOf(filename))).length,
    structured: chosen.filter(({ filename }) => isStructuredCaption(filename)).length,
    captions: captions?.flatMap(({ filename, text }) =>
      text !== null && isTextCaption(filename) && stems.has(stemOf(filename)) ? [{ stem: stemOf(filename), text }] : [],
    ),
  };
}
