import { isMainThread } from 'node:worker_threads';
import sharp, { type SharpOptions } from 'sharp';
import { MAX_IMAGE_PIXELS } from '../../media.js';
import { StructureError, shortReason } from '../inspection-error.js';

// One inspection runs on each core already, and nothing is decoded twice.
sharp.cache(false);
sharp.concurrency(1);
// What is no image of ours never gets as far as libvips, since the bytes are identified first. This is for the file that
// changes its mind in between, and for a parser's hole that nobody needs open.
//
// libvips has one list of loaders for the whole process. While all are blocked, an intact image can not be opened on any
// thread, so only the main thread may change the list, before others decode.
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

/** Small enough for libjpeg to shrink by 8 and libwebp to scale while decoding, which still reads every coded bit. */
const PROOF_PIXELS = 64;

/** Options with which libvips streams, stops at damage and refuses what the trainer refuses. */
export const CAREFUL = {
  failOn: 'error',
  sequentialRead: true,
  limitInputPixels: MAX_IMAGE_PIXELS,
  ignoreIcc: true,
} as const satisfies SharpOptions;

/**
 * Decodes the first frame to its last row and throws the pixels away.
 *
 * @throws Damage with what libvips said.
 */
export async function proveDecodes(path: string): Promise<void> {
  try {
    await sharp(path, CAREFUL).resize(PROOF_PIXELS, PROOF_PIXELS, { fit: 'fill' }).raw().toBuffer();
  } catch (error) {
    throw new StructureError(`is damaged: its pixels can't be decoded (${shortReason(error)})`);
  }
}
