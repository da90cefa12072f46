import { type BucketRules, bucketOf, type Size } from '../../../src/dataset/buckets.js';

/** What the trainer takes of a picture. */
export interface Crop {
  /** The size in which it is trained on. */
  readonly bucket: Size;
  /** The size of what is taken from the middle, in pixels of the picture. */
  readonly taken: Size;
}

/**
 * What is left of a picture that is scaled until it covers its bucket, and cropped to the middle (ai-toolkit,
 * `toolkit/dataloader_mixins.py`, `setup_buckets`).
 */
export function cropOf(picture: Size, rules: BucketRules): Crop {
  const bucket = bucketOf(picture, rules);
  const scale = Math.max(bucket.width / picture.width, bucket.height / picture.height);
  return { bucket, taken: { width: bucket.width / scale, height: bucket.height / scale } };
}

/** `Cuts 12 px at the left and right`; `Cuts nothing`. */
export function cutText({ width, height }: Size, { taken }: Crop): string {
  const [across, down] = [(width - taken.width) / 2, (height - taken.height) / 2];
  if (across < 0.5 && down < 0.5) return 'cuts nothing';
  return across >= down
    ? `cuts ${Math.round(across)} px at the left and at the right`
    : `cuts ${Math.round(down)} px at the top and at the bottom`;
}
