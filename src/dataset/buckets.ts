import { mediaTypeOf } from './media.js';

/*
 * The buckets of ai-toolkit: the sizes in which it trains. It scales and crops each image to a size of about the same aspect
 * ratio with at most the pixels of the job's resolution, and batches images of one size. If a job has several resolutions,
 * it trains on every file in each of them (ai-toolkit `toolkit/config_modules.py`, `preprocess_dataset_raw_config`).
 */

/** The resolutions in ai-toolkit's examples (`config/examples/`). Each stands for an area: its square. */
export const RESOLUTIONS = [512, 768, 1024] as const;

/**
 * The sides of a bucket are multiples of this. It depends on the model alone, by its `get_bucket_divisibility` (ai-toolkit
 * `toolkit/data_loader.py`, `AiToolkitDataset.__init__`, and `extensions_built_in/diffusion_models/`).
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

/** The files that are trained on in one size. A batch never mixes clips with images. */
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
 * The size in which an image is trained on. The trainer scales the image to cover it and crops to the centre. Of the sizes
 * around the exact one, this is the nearest in area within the resolution, so it exceeds the image by rounding only.
 *
 * After ai-toolkit `toolkit/buckets.py`, `get_bucket_for_image_size`, as of 2026. Earlier versions chose from a list.
 */
export function bucketOf({ width, height }: Size, { resolution, step }: BucketRules): Size {
  const area = width * height;
  const maxArea = resolution * resolution;
  const targetArea = Math.min(area, maxArea);
  const scale = Math.sqrt(targetArea / area);
  const [columns, rows] = [(width * scale) / step, (height * scale) / step];
  const candidates = [
    { width: Math.floor(columns) * step, height: Math.floor(rows) * step },
    { width: Math.floor(columns) * step, height: Math.ceil(rows) * step },
    { width: Math.ceil(columns) * step, height: Math.floor(rows) * step },
    { width: Math.ceil(columns) * step, height: Math.ceil(rows) * step },
  ].filter((size) => areaOf(size) > 0 && areaOf(size) <= maxArea);
  // Of two equally near sizes the first wins, as with Python's `min`.
  const [first, ...others] = candidates;
  if (first !== undefined) {
    const deviation = (size: Size) => Math.abs(areaOf(size) - targetArea);
    return others.reduce((best, size) => (deviation(size) < deviation(best) ? size : best), first);
  }
  // A very narrow image: one step on its short side, even if that exceeds the area.
  return { width: Math.max(step, Math.floor(columns) * step), height: Math.max(step, Math.floor(rows) * step) };
}

/** The buckets of a dataset, those with most files first. Files of untrained types or unknown size are in no bucket. */
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

/** True for an image with fewer pixels than the resolution, which is trained on at its own smaller size. */
export function isBelow({ width, height }: Size, resolution: number): boolean {
  return width * height < resolution * resolution;
}

function areaOf({ width, height }: Size): number {
  return width * height;
}
