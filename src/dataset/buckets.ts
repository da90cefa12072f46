import { mediaTypeOf } from './media.js';

/*
 * ai-toolkit scales and crops each image to a bucket of about its aspect ratio, with at most the pixels of the job's resolution,
 * and trains on every file in each resolution (`toolkit/config_modules.py`, `preprocess_dataset_raw_config`).
 */

/** Those of ai-toolkit's examples (`config/examples/`); each stands for the area of its square. */
export const RESOLUTIONS = [512, 768, 1024] as const;

/** Sides are multiples of this; the model decides (`get_bucket_divisibility` in `extensions_built_in/diffusion_models/`). */
export const BUCKET_STEPS = [8, 16, 32] as const;

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface BucketRules {
  readonly resolution: number;
  readonly step: number;
}

/** Files trained on in one size. A batch never mixes clips with images. */
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
 * The size in which an image is trained on: the nearest in area within the resolution. After ai-toolkit `toolkit/buckets.py`,
 * `get_bucket_for_image_size`, as of 2026; earlier versions chose from a list.
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
  // The first of two equally near sizes wins, as with Python's `min`.
  const [first, ...others] = candidates;
  if (first !== undefined) {
    const deviation = (size: Size) => Math.abs(areaOf(size) - targetArea);
    return others.reduce((best, size) => (deviation(size) < deviation(best) ? size : best), first);
  }
  // A very narrow image: one step on its short side, even if that exceeds the area.
  return { width: Math.max(step, Math.floor(columns) * step), height: Math.max(step, Math.floor(rows) * step) };
}

/** Most files first. Untrained types and files of unknown size are in no bucket. */
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

/** Such an image is trained on at its own smaller size. */
export function isBelow({ width, height }: Size, resolution: number): boolean {
  return width * height < resolution * resolution;
}

function areaOf({ width, height }: Size): number {
  return width * height;
}
