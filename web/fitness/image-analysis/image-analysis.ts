import { lumaOf, meanAndVarianceOf, type Pixels } from './luma.js';
import { sharpnessOf } from './sharpness.js';

/** Measurements of the pixels of one image. */
export interface ImageAnalysis {
  /** The mean over all pixels, in percent: 0 is black and 100 white. */
  readonly brightness: number;
  /** In percent; see `sharpnessOf`. */
  readonly sharpness: number;
}

export function analyze(pixels: Pixels): ImageAnalysis {
  const luma = lumaOf(pixels);
  return {
    brightness: (100 * meanAndVarianceOf(luma.values).mean) / 255,
    sharpness: sharpnessOf(luma),
  };
}
