import type { MaskTraits } from '../../inspection.js';

/** JPEG and WebP move a channel of a grey picture by less, and a person sees no colour in it. */
const GREY_TOLERANCE = 16;

/**
 * Collects the traits of a mask from its pixels, as ai-toolkit reads them (`toolkit/dataloader_mixins.py`, `load_mask_image`):
 * `convert('RGB')` drops the transparency, and `convert('L')` makes one brightness of the three channels.
 */
export class TraitsOfPixels implements MaskTraits {
  isBlack = true;
  isColoured = false;
  isTransparent = false;
  isCutOff = false;
  readonly isCmyk = false;

  addColour(red: number, green: number, blue: number): void {
    if (this.isBlack && isLight(red, green, blue)) this.isBlack = false;
    if (!this.isColoured && Math.max(red, green, blue) - Math.min(red, green, blue) > GREY_TOLERANCE) {
      this.isColoured = true;
    }
  }

  /** Pillow opens a grey of 16 bits as `I;16`, and makes 255 of all values above (11.1, `libImaging/Convert.c`, `I16_RGB`). */
  addDeepGrey(value: number): void {
    if (value > 0) this.isBlack = false;
    if (value > 0xff && value < 0xff00) this.isCutOff = true;
  }

  /** @param alpha 255 if the pixel is opaque */
  addAlpha(alpha: number): void {
    if (alpha !== 255) this.isTransparent = true;
  }
}

/** Whether the brightness is above 0 as Pillow computes it (11.1, `libImaging/Convert.c`, `L24`). */
function isLight(red: number, green: number, blue: number): boolean {
  return (red * 19_595 + green * 38_470 + blue * 7471 + 0x8000) >> 16 > 0;
}
