import { bucketOf } from '../buckets.js';
import { extensionOf, mediaTypeOf, mountedNameOf, stemOf } from '../media.js';
import { folderIn, numberedIfAny } from './facts.js';
import type { TrainingDataset, TrainingFile } from './training-dataset.js';

/** The video VAE halves sides five times, and joins eight frames (its "Dataset Preparation Guide", "Resolution Buckets"). */
const SIDE_STEP = 32;
const FRAME_STEP = 8;

/** With two of them, a batch already has one sample alone. */
const MAX_SHAPES = 3;

/** Any other file is opened as a clip (`scripts/process_videos.py:159, 231`). */
const READ_AS_IMAGES: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg']);

/**
 * A row of the metadata file for each image and clip, with the columns of Lightricks/LTX-2 at commit 400fd310
 * (`packages/ltx-trainer/scripts/process_dataset.py`). All rows have the same columns: a missing one stops the preparation.
 *
 * @param size.frames of the form 4n + 1; `undefined` without clips
 */
export function ltxFactsOf(datasets: readonly TrainingDataset[], size: { resolution: number; frames?: number }) {
  const images = datasets.flatMap((dataset) => dataset.images);
  const clips = datasets.flatMap((dataset) => dataset.clips);
  const rows = datasets.flatMap(rowsOf);
  const controls = datasets.map(({ links }) => links.filter(({ slot }) => slot !== 'mask').length);
  const hasReferences = rows.every(({ reference }) => reference !== undefined);
  const length = Math.max(FRAME_STEP * Math.floor(((size.frames ?? 1) - 1) / FRAME_STEP), FRAME_STEP) + 1;
  const shapes = shapesOf(images.filter(isReadAsImage), size.resolution);
  // The nearest shape counts before the length (`process_videos.py:308-332`): in a shape of images alone, a clip would become one frame.
  const clipShapes = clips.length > 0 ? [...shapesOf(clips, size.resolution), ...shapes] : [];
  const clipBuckets = new Set(clipShapes.map((shape) => `${shape}x${length}`));
  const silent = clips.filter((clip) => clip.has_audio === false).length;
  return {
    rows: rows.map(({ caption = '', video, reference }, i) => {
      return { caption, video, reference: hasReferences ? reference : undefined, isLast: i === rows.length - 1 };
    }),
    buckets: [...clipBuckets, ...shapes.map((shape) => `${shape}x1`)].join(';'),
    length,
    short: numberedIfAny(clips.filter(({ frames = length }) => frames < length).length, 'clip is', 'clips are'),
    unread: numberedIfAny(images.length + clips.length - rows.length, 'image is', 'images are'),
    captionless: numberedIfAny(rows.filter(({ caption }) => caption === undefined).length, 'file has', 'files have'),
    lacksReferences: Math.max(...controls) > 0 && !hasReferences,
    severalReferences: Math.max(...controls) > 1 && hasReferences,
    hasGroups: datasets.some(({ group }) => group !== undefined),
    isSilent: silent === clips.length,
    silent: silent < clips.length ? numberedIfAny(silent, 'clip has', 'clips have') : undefined,
  };
}

function rowsOf({ name, root, images, clips, captions = [], links }: TrainingDataset) {
  const control = links.find(({ slot }) => slot !== 'mask');
  const texts = new Map(captions.map(({ stem, text }) => [stem, text.trim()]));
  const controls = (control?.files ?? []).filter(({ filename }) => mediaTypeOf(filename)?.trainable);
  const references = new Map(controls.map((file) => [stemOf(file.filename), file]));
  const pathIn = (folder: string, { filename }: TrainingFile) =>
    folderIn(folderIn(root, folder), mountedNameOf(filename));
  return [...images.filter(isReadAsImage), ...clips].map((file) => {
    const stem = stemOf(file.filename);
    const reference = references.get(stem);
    return {
      caption: texts.get(stem),
      video: pathIn(name, file),
      reference: control && reference && pathIn(control.name, reference),
    };
  });
}

function isReadAsImage({ filename }: TrainingFile): boolean {
  return READ_AS_IMAGES.has(extensionOf(filename));
}

/** `768x448`: the shapes that most files have, with the area of the resolution. */
function shapesOf(files: readonly TrainingFile[], resolution: number): string[] {
  const counts = new Map<string, number>();
  for (const { width = resolution, height = resolution } of files) {
    // Enlarged first, since a bucket is never larger than its file.
    const large = { width: width * resolution, height: height * resolution };
    const size = bucketOf(large, { resolution, step: SIDE_STEP });
    const shape = `${size.width}x${size.height}`;
    counts.set(shape, (counts.get(shape) ?? 0) + 1);
  }
  const byCount = [...counts].sort((a, b) => b[1] - a[1]).map(([shape]) => shape);
  return byCount.slice(0, MAX_SHAPES);
}
