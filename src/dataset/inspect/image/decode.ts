/* The decoding by libvips of `PixelDecoder` in `inspection.ts`. */
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { MAX_IMAGE_PIXELS } from '../../media.js';
import type { ImageDescription, MaskTraits } from '../inspection.js';
import { damaged, OutOfMemory, type StructureError } from '../inspection-error.js';

// The process inspects one file at a time, and decodes no image twice.
sharp.cache(false);
sharp.concurrency(1);
// Only loaders of accepted formats: each further one is attack surface, and a file may change after its detection.
const FORMATS = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff', 'Heif'];
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: FORMATS.map((format) => `VipsForeignLoad${format}`) });

/** libwebp scales down while it decodes, and still reads every coded bit. */
const PROOF_SIDE_PIXELS = 64;

/** Streams, stops at damage, and rejects what the trainer rejects. */
export const STRICT_DECODING = {
  failOn: 'error',
  sequentialRead: true,
  limitInputPixels: MAX_IMAGE_PIXELS,
  ignoreIcc: true,
} as const satisfies SharpOptions;

export async function describe(source: string | Buffer): Promise<ImageDescription> {
  try {
    const options = { ...STRICT_DECODING, limitInputPixels: false } as const;
    const { width, height, pages = 1, orientation = 1 } = await sharp(source, options).metadata();
    return { width, height, pages, orientation };
  } catch (error) {
    throw decodingError(error);
  }
}

/** An upright picture. From 16 bits with a colour profile, libvips makes Display P3, and would drop that profile. */
export async function uprightInSrgb(source: string | Buffer): Promise<Sharp> {
  const image = sharp(source, { ...STRICT_DECODING, ignoreIcc: false, autoOrient: true });
  const { space, hasProfile } = await image.metadata();
  const converted = space === 'rgb16' && hasProfile ? image.withIccProfile('srgb', { attach: false }) : image;
  return converted.toColourspace('srgb');
}

export async function prove(source: string | Buffer, { rows }: { rows?: number } = {}): Promise<void> {
  const image = sharp(source, { ...STRICT_DECODING, failOn: 'warning' });
  const part =
    rows === undefined
      ? image.resize(PROOF_SIDE_PIXELS, PROOF_SIDE_PIXELS, { fit: 'fill' })
      : image.extract({ left: 0, top: rows - 1, width: 1, height: 1 });
  try {
    await part.raw().toBuffer();
  } catch (error) {
    throw decodingError(error);
  }
}

/** Larger masks are scaled down while they are decoded, since their pixels would need too much memory. */
const MAX_MASK_PIXELS = 4_000_000;

/** Enough that one white pixel among a hundred black ones does not become black. */
const MAX_MASK_SIDE = 1024;

/** JPEG and WebP move channels by less, and a person sees no colour in it. */
const GREY_TOLERANCE = 16;

const GREY = { isBlack: false, isColoured: false, isTransparent: false, isCutOff: false, isCmyk: false };

export async function readMask(source: string | Buffer): Promise<MaskTraits> {
  try {
    const image = sharp(source, STRICT_DECODING);
    const { width, height, space, channels } = await image.metadata();
    if (space === 'cmyk') return { ...GREY, isCmyk: true };
    // In other images with 16 bits, Pillow takes the first byte of a sample, as libvips does.
    const isDeepGrey = space === 'grey16' && channels === 1;
    const isLarge = width * height > MAX_MASK_PIXELS;
    if (isLarge) {
      // Other kernels make greys between black and white.
      const kernel = isDeepGrey ? 'nearest' : 'lanczos3';
      image.resize(MAX_MASK_SIDE, MAX_MASK_SIDE, { fit: 'inside', kernel });
    }
    if (isDeepGrey) return deepGreyTraits(await image.toColourspace('grey16').raw({ depth: 'ushort' }).toBuffer());
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    const traits = traitsOf(data, info.channels);
    // Scaling loses colours under transparent pixels, which the trainer sees.
    return isLarge && traits.isTransparent ? { ...traits, isBlack: false } : traits;
  } catch (error) {
    throw decodingError(error);
  }
}

/** As ai-toolkit reads masks (`toolkit/dataloader_mixins.py`, `load_mask_image`): without transparency, as one brightness. */
function traitsOf(pixels: Buffer, channels: number): MaskTraits {
  const [greenAt, blueAt] = channels < 3 ? [0, 0] : [1, 2];
  const alphaAt = channels === 2 || channels === 4 ? channels - 1 : undefined;
  let [isBlack, isColoured, isTransparent] = [true, false, false];
  for (let at = 0; at < pixels.length; at += channels) {
    const red = pixels[at]!;
    const green = pixels[at + greenAt]!;
    const blue = pixels[at + blueAt]!;
    // Pillow 11.1, `libImaging/Convert.c`, `L24`.
    isBlack &&= (red * 19_595 + green * 38_470 + blue * 7471 + 0x8000) >> 16 === 0;
    isColoured ||= Math.max(red, green, blue) - Math.min(red, green, blue) > GREY_TOLERANCE;
    isTransparent ||= alphaAt !== undefined && pixels[at + alphaAt] !== 255;
  }
  return { ...GREY, isBlack, isColoured, isTransparent };
}

/** Pillow makes 255 of all larger values of 16-bit grey (11.1, `libImaging/Convert.c`, `I16_RGB`). */
function deepGreyTraits(pixels: Buffer): MaskTraits {
  let [isBlack, isCutOff] = [true, false];
  for (let at = 0; at < pixels.length; at += 2) {
    const value = pixels.readUInt16LE(at);
    if (value > 0) isBlack = false;
    if (value > 0xff && value < 0xff00) isCutOff = true;
  }
  return { ...GREY, isBlack, isCutOff };
}

/** libvips mixes messages of earlier files into an error, so the message says only what is certain. */
export function decodingError(error: unknown): StructureError | OutOfMemory {
  const text = error instanceof Error ? error.message : String(error);
  // libheif calls its own limits an allocation.
  if (/insufficient memory|out of memory|memory allocation(?! error: security limit)/i.test(text)) {
    return new OutOfMemory('The image needs more memory than its decoder could get.', { cause: error });
  }
  return damaged("its pixels can't be decoded", { cause: error });
}
