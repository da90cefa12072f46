import sharp from 'sharp';
import type { DecodeMask, MaskTraits } from '../../inspection.js';
import { decodingError, STRICT_DECODING } from '../decode.js';

/** Pixels of larger masks are not held: that would need too much memory. */
const MAX_PIXELS_HELD = 4_000_000;

/**
 * Larger masks are scaled down to this side while they are decoded. The trainer scales them down too, and one white pixel among a
 * hundred black ones does not become black.
 */
const MAX_SIDE_PIXELS = 1024;

/** JPEG and WebP move a channel of a grey picture by less, and a person sees no colour in it. */
const GREY_TOLERANCE = 16;

/** Reads the traits of a mask with libvips. */
export const decodeMask: DecodeMask = async (source) => {
  try {
    const image = sharp(source, STRICT_DECODING);
    const { width, height, space, channels } = await image.metadata();
    if (space === 'cmyk') return CMYK;
    // Of any other image, Pillow takes the first byte of samples of 16 bits, as libvips does.
    const isDeepGrey = space === 'grey16' && channels === 1;
    const isLarge = width * height > MAX_PIXELS_HELD;
    if (isLarge) {
      // Between black and white, scaling would make greys that the mask does not have.
      const kernel = isDeepGrey ? 'nearest' : 'lanczos3';
      image.resize(MAX_SIDE_PIXELS, MAX_SIDE_PIXELS, { fit: 'inside', kernel });
    }
    const traits = new TraitsOfPixels();
    if (isDeepGrey) {
      const pixels = await image.toColourspace('grey16').raw({ depth: 'ushort' }).toBuffer();
      for (let at = 0; at < pixels.length; at += 2) traits.addDeepGrey(pixels.readUInt16LE(at));
      return traits;
    }
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    addPixels(traits, data, info.channels);
    // Scaling loses the colours under transparent pixels, which the trainer sees.
    if (isLarge && traits.isTransparent) traits.isBlack = false;
    return traits;
  } catch (error) {
    throw decodingError(error);
  }
};

const CMYK: MaskTraits = { isBlack: false, isColoured: false, isTransparent: false, isCutOff: false, isCmyk: true };

/** One or two channels are a brightness; the second or fourth is the transparency. */
function addPixels(traits: TraitsOfPixels, pixels: Buffer, channels: number): void {
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  const alpha = channels === 2 || channels === 4 ? channels - 1 : undefined;
  for (let at = 0; at < pixels.length; at += channels) {
    traits.addColour(pixels[at] ?? 0, pixels[at + green] ?? 0, pixels[at + blue] ?? 0);
    if (alpha !== undefined) traits.addAlpha(pixels[at + alpha] ?? 0);
  }
}

/**
 * Collects the traits of a mask from its pixels, as ai-toolkit reads them (`toolkit/dataloader_mixins.py`, `load_mask_image`):
 * `convert('RGB')` drops the transparency, and `convert('L')` makes one brightness of the three channels.
 */
class TraitsOfPixels implements MaskTraits {
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
