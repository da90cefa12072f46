import { hashOf, shadesOf } from './hash.js';
import { lumaOf, type Pixels, spreadOf } from './luma.js';
import { sharpnessOf } from './sharpness.js';
import type { Likeness } from './similar.js';

/** What a look at the pixels of an image tells. */
export interface Look extends Likeness {
  /** The mean over all pixels, in percent: 0 is black and 100 white. */
  readonly brightness: number;
  /** In percent; see `sharpnessOf`. */
  readonly sharpness: number;
}

export function lookAt(pixels: Pixels): Look {
  const luma = lumaOf(pixels);
  const shades = shadesOf(luma);
  return {
    hash: hashOf(shades),
    shades,
    brightness: (100 * spreadOf(luma.values).mean) / 255,
    sharpness: sharpnessOf(luma),
  };
}
