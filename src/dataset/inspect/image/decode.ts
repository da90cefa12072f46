import sharp, { type SharpOptions } from 'sharp';
import { MAX_IMAGE_PIXELS } from '../../media.js';
import type { ProveDecodes } from '../inspection.js';
import { OutOfMemory, StructureError } from '../inspection-error.js';

// The process inspects one file at a time, and decodes no image twice.
sharp.cache(false);
sharp.concurrency(1);
// Only the loaders of accepted formats are enabled, because each further loader is attack surface. The format is detected
// first, but the file may change in between.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadNsgif',
    'VipsForeignLoadTiff',
    'VipsForeignLoadHeif',
  ],
});

/** Small enough for libwebp to scale down while it decodes. It still reads every coded bit. */
const PROOF_SIDE_PIXELS = 64;

/** Options with which libvips streams, stops at damage, and rejects images that the trainer rejects. */
export const STRICT_DECODING = {
  failOn: 'error',
  sequentialRead: true,
  limitInputPixels: MAX_IMAGE_PIXELS,
  ignoreIcc: true,
} as const satisfies SharpOptions;

/** Decodes with libvips. */
export const proveDecodes: ProveDecodes = async (source, { rows } = {}) => {
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
};

/**
 * The error for a decoder's failure. libvips collects messages in a buffer of the process, where those of earlier files may
 * still be, and their order varies; so the message says only what is certain.
 */
export function decodingError(error: unknown): StructureError | OutOfMemory {
  const text = error instanceof Error ? error.message : String(error);
  // libheif calls its own limits, such as that of parts, an allocation.
  if (/insufficient memory|out of memory|memory allocation(?! error: security limit)/i.test(text)) {
    return new OutOfMemory('The image needs more memory than its decoder could get.', { cause: error });
  }
  return new StructureError("is damaged: its pixels can't be decoded", { cause: error });
}
