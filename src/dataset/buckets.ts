import { mediaTypeOf } from './media.js';

/*
 * Which sizes ai-toolkit trains in. It brings each picture to a size of about the same shape, with at most the pixels of
 * the job's resolution, and takes together in a batch what has one size. Each resolution of a list is a training set of its
 * own, with every file in it once more (ai-toolkit `toolkit/config_modules.py`, `preprocess_dataset_raw_config`).
 */

/** The resolutions that ai-toolkit's own examples train in (`config/examples/`). Each stands for an area, its square. */
export const RESOLUTIONS = [512, 768, 1024] as const;

/**
 * What sides of buckets are multiples of, by model: `get_bucket_divisibility` of the model decides, whatever the job says
 * (ai-toolkit `toolkit/data_loader.py`, `AiToolkitDataset.__init__`, and `extensions_built_in/diffusion_models/`).
 */
export const BUCKET_STEPS = [8, 16, 32] as const;

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface BucketRules {
  readonly resolution: number;
  readonly step: number;
}

/** What is trained on in one size. Clips are never in one batch with images. */
export interface Bucket<F extends BucketedFile> extends Size {
  readonly kind: 'image' | 'video';
  readonly files: readonly F[];
}

interface BucketedFile {
  readonly filename: string;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

/**
 * The size in which a picture is trained on: scaled to cover it, and its middle cut out. No larger than the picture, but
 * for rounding: of the sizes around the exact one, it is the one nearest in area that does not exceed the resolution.
 *
 * After ai-toolkit `toolkit/buckets.py`, `get_bucket_for_image_size`, as it is since 2026; before, it chose from a list of
 * sizes.
 */
export function bucketOf({ width, height }: Size, { resolution, step }: BucketRules): Size {
  const area = width * height;
  const mostArea = resolution * resolution;
  const goal = Math.min(area, mostArea);
  const scale = Math.sqrt(goal / area);
  const [across, down] = [(width * scale) / step, (height * scale) / step];
  const around = [
    { width: Math.floor(across) * step, height: Math.floor(down) * step },
    { width: Math.floor(across) * step, height: Math.ceil(down) * step },
    { width: Math.ceil(across) * step, height: Math.floor(down) * step },
    { width: Math.ceil(across) * step, height: Math.ceil(down) * step },
  ].filter((size) => areaOf(size) > 0 && areaOf(size) <= mostArea);
  // Where two are as near, the first one wins, as with Python's `min`.
  const [first, ...others] = around;
  if (first !== undefined) {
    const away = (size: Size) => Math.abs(areaOf(size) - goal);
    return others.reduce((best, size) => (away(size) < away(best) ? size : best), first);
  }
  // Nearly a line: one step on its short side, whatever the area.
  return { width: Math.max(step, Math.floor(across) * step), height: Math.max(step, Math.floor(down) * step) };
}

/** The buckets of a dataset, largest first; files that the trainer leaves out, or of unknown size, are in none. */
export function bucketsOf<F extends BucketedFile>(files: readonly F[], rules: BucketRules): Bucket<F>[] {
  const buckets = new Map<string, Bucket<F> & { files: F[] }>();
  for (const file of files) {
    const type = mediaTypeOf(file.filename);
    const { width, height } = file;
    if (type === undefined || type.kind === 'caption' || !type.trainable || !width || !height) continue;
    const size = bucketOf({ width, height }, rules);
    const key = `${type.kind} ${size.width}x${size.height}`;
    const bucket = buckets.get(key);
    if (bucket === undefined) buckets.set(key, { ...size, kind: type.kind, files: [file] });
    else bucket.files.push(file);
  }
  return [...buckets.values()].sort((a, b) => b.files.length - a.files.length || areaOf(b) - areaOf(a));
}

/** Whether a picture has fewer pixels than the resolution, and so is trained on at its own, smaller size. */
export function isBelow({ width, height }: Size, resolution: number): boolean {
  return width * height < resolution * resolution;
}

function areaOf({ width, height }: Size): number {
  return width * height;
}
