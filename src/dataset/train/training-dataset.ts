import type { LinkSlot } from '../dataset.js';
import { mediaTypeOf, stemOf } from '../media.js';

export const MEDIA_CHOICES = ['images', 'videos'] as const;

/** One kind of media: what `mount --only` mounts, with the captions of the same stems. */
export type MediaChoice = (typeof MEDIA_CHOICES)[number];

/** The files of one kind of media with their captions; all files without a choice. */
export function chosenFiles<F extends { readonly filename: string }>(
  files: readonly F[],
  only: MediaChoice | undefined,
): readonly F[] {
  if (only === undefined) return files;
  const kindOf = ({ filename }: F) => mediaTypeOf(filename)?.kind;
  const kind = only === 'images' ? 'image' : 'video';
  const stems = new Set(files.filter((file) => kindOf(file) === kind).map(({ filename }) => stemOf(filename)));
  return files.filter(
    (file) => kindOf(file) === kind || (kindOf(file) === 'caption' && stems.has(stemOf(file.filename))),
  );
}

/** An image or a clip, as the service describes it. */
export interface TrainingFile {
  readonly filename: string;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly frames?: number | undefined;
  readonly frames_per_second?: number | undefined;
  readonly warnings?: readonly { readonly code: string }[] | undefined;
}

/** What the settings of a training run depend on: a mounted dataset and facts about its files. */
export interface TrainingDataset {
  readonly name: string;
  /** The folder with a folder for each mounted dataset, as the trainer sees it. */
  readonly root: string;
  readonly only: MediaChoice | undefined;
  /** `undefined` unless the dataset is READY. */
  readonly digest: string | undefined;
  /** Files that ai-toolkit trains on. */
  readonly images: readonly TrainingFile[];
  readonly clips: readonly TrainingFile[];
  /** `undefined` if the texts were not read. */
  readonly captions: CaptionFacts | undefined;
  /** Its controls, then its mask; each is mounted in a folder of its own. */
  readonly links: readonly LinkedFolder[];
}

/** A control or mask dataset, which is mounted in a folder beside its target. */
export interface LinkedFolder {
  readonly slot: LinkSlot;
  readonly name: string;
  /** `undefined` if they were not read. */
  readonly files?: readonly TrainingFile[] | undefined;
}

interface CaptionFacts {
  readonly total: number;
  /** Captions with text after the first line. */
  readonly multiLine: number;
  /** A few captions, each on one line, as prompts of sample images. */
  readonly examples: readonly { readonly text: string; readonly stem: string }[];
}

export interface DatasetToTrain extends Pick<TrainingDataset, 'name' | 'root'> {
  readonly only?: MediaChoice | undefined;
  readonly digest?: string | undefined;
  readonly files: readonly TrainingFile[];
  /** The texts of captions; without them, advice about captions of several lines is general. */
  readonly captions?: readonly CaptionText[] | undefined;
  readonly links?: readonly LinkedFolder[] | undefined;
}

interface CaptionText {
  readonly filename: string;
  readonly text: string | null;
}

const MAX_EXAMPLES = 3;
const MAX_EXAMPLE_LENGTH = 300;

/** Gathers the facts of a dataset. */
export function trainingDatasetOf(dataset: DatasetToTrain): TrainingDataset {
  const { name, root, only, digest, files, captions, links = [] } = dataset;
  const chosen = chosenFiles(files, only);
  const trained = (kind: 'image' | 'video') =>
    chosen.filter(({ filename }) => {
      const type = mediaTypeOf(filename);
      return type?.kind === kind && type.trainable;
    });
  const names = new Set(chosen.map(({ filename }) => filename));
  const read = captions?.filter(({ filename }) => names.has(filename));
  return {
    name,
    root: root.replace(/(?<=.)\/+$/, ''),
    only,
    digest,
    images: trained('image'),
    clips: trained('video'),
    captions: read && captionFactsOf(read),
    links,
  };
}

function captionFactsOf(captions: readonly CaptionText[]): CaptionFacts {
  const read = captions.flatMap(({ filename, text }) => (text === null ? [] : [{ stem: stemOf(filename), text }]));
  const examples = new Map<string, string>();
  for (const { stem, text } of read) {
    const line = text.trim().replace(/\s+/g, ' ').slice(0, MAX_EXAMPLE_LENGTH);
    if (line !== '' && !examples.has(line) && examples.size < MAX_EXAMPLES) examples.set(line, stem);
  }
  return {
    total: read.length,
    multiLine: read.filter(({ text }) => text.trimEnd().includes('\n')).length,
    examples: [...examples].map(([text, stem]) => ({ text, stem })),
  };
}

/** The folder of a dataset. */
export function folderOfTraining({ root, name }: Pick<TrainingDataset, 'root' | 'name'>): string {
  return root.endsWith('/') ? root + name : `${root}/${name}`;
}

/**
 * A folder for what a trainer caches of a dataset. Trainers find cached latents by filename, not by content, so each state of
 * a dataset has its own folder. ai-toolkit lists no folder whose name begins with a dot (`ui/src/app/api/datasets/list`).
 */
export function cacheFolderOf({ root, name, digest }: TrainingDataset, part: string): string {
  const state = digest === undefined ? name : `${name}-${digest.slice(0, 12)}`;
  return folderOfTraining({ root: folderOfTraining({ root, name: '.cache' }), name: `${state}/${part}` });
}

export function isMixed({ images, clips }: TrainingDataset): boolean {
  return images.length > 0 && clips.length > 0;
}

/** `12 images and 1 clip`; `no images and clips`. */
export function contentOfTraining({ images, clips }: TrainingDataset): string {
  const words = [
    ...(images.length > 0 ? [numbered(images.length, 'image')] : []),
    ...(clips.length > 0 ? [numbered(clips.length, 'clip')] : []),
  ];
  return words.join(' and ') || 'no images and no clips';
}

/** `1 image`, `1,200 images`. */
export function numbered(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
