import { hashOf, shadesOf } from './hash.js';
import { lumaOf, meanAndVarianceOf, type Pixels } from './luma.js';
import { sharpnessOf } from './sharpness.js';
import type { ImageSignature } from './similar.js';

/** Measurements of the pixels of one image. */
export interface ImageAnalysis extends ImageSignature {
  /** The mean over all pixels, in percent: 0 is black and 100 white. */
  readonly brightness: number;
  /** In percent; see `sharpnessOf`. */
  readonly sharpness: number;
}

export function analyze(pixels: Pixels): ImageAnalysis {
  const luma = lumaOf(pixels);
  const shades = shadesOf(luma);
  return {
    hash: hashOf(shades),
    shades,
    brightness: (100 * meanAndVarianceOf(luma.values).mean) / 255,
    sharpness: sharpnessOf(luma),
  };
}
