import { isMainThread } from 'node:worker_threads';
import sharp, { type SharpOptions } from 'sharp';
import { MAX_IMAGE_PIXELS } from '../../media.js';
import { StructureError } from '../inspection-error.js';

// Each core already runs one inspection, and no image is decoded twice.
sharp.cache(false);
sharp.concurrency(1);
// Only the loaders of accepted formats are enabled, because each further loader is attack surface. The format is detected
// first, but the file may change in between. libvips has one list of loaders per process, and no thread can open an image
// while all are blocked, so only the main thread changes the list, before other threads decode.
if (isMainThread) {
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
}

/** Small enough for libjpeg and libwebp to scale down while they decode. They still read every coded bit. */
const PROOF_SIDE_PIXELS = 64;

/** Options with which libvips streams, stops at damage, and rejects images that the trainer rejects. */
export const STRICT_DECODING = {
  failOn: 'error',
  sequentialRead: true,
  limitInputPixels: MAX_IMAGE_PIXELS,
  ignoreIcc: true,
} as const satisfies SharpOptions;

/**
 * Decodes the first frame to its last row and discards the pixels. `source` is the path or the bytes of a file. The reason that
 * libvips gives is not part of the message: it varies from run to run, and can belong to another file.
 *
 * @throws StructureError
 */
export async function proveDecodes(source: string | Buffer): Promise<void> {
  try {
    await sharp(source, STRICT_DECODING).resize(PROOF_SIDE_PIXELS, PROOF_SIDE_PIXELS, { fit: 'fill' }).raw().toBuffer();
  } catch {
    throw new StructureError("is damaged: its pixels can't be decoded");
  }
}
