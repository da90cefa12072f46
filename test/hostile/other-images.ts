import { deflateSync } from 'node:zlib';
import { concat, little, riffChunk as chunk } from '../fixtures/bytes.js';
import * as media from '../fixtures/media.js';
import { filesOf, joined, repeated } from './hostile-file.js';

type Field = readonly [tag: number, value: number];

/** One value of 32 bits. */
const entry = ([tag, value]: Field): Buffer => concat(little(2, tag), little(2, 4), little(4, 1), little(4, value));

/** A directory of a little-endian TIFF. */
const directory = (fields: readonly Field[], next = 0): Buffer =>
  concat(little(2, fields.length), ...fields.map(entry), little(4, next));

const tiffHead = (first: number): Buffer => concat('II*\0', little(4, first));

/** A grey page in one strip. */
function page(side: number, bytes: number, compression = 1): Field[] {
  const sides = [256, 257, 278].map((tag): Field => [tag, side]);
  const [width, height, rows] = sides as [Field, Field, Field];
  return [width, height, [258, 8], [259, compression], [262, 1], [273, 8], [277, 1], rows, [279, bytes]];
}

/** A page of 8 × 8 pixels, whose bytes lie at offset 8. */
const SMALL_PAGE = page(8, 64);
const PAGE_AT = 8 + 64;
const PAGE_BYTES = directory(SMALL_PAGE).length;
const BEFORE_PAGE = concat(tiffHead(PAGE_AT), Buffer.alloc(64));

/** One strip of deflated zeros. */
function deflatedStrip(side: number): Buffer[] {
  const pixels = deflateSync(Buffer.alloc(side * side), { level: 9 });
  return [tiffHead(8 + pixels.length), pixels, directory(page(side, pixels.length, 8))];
}

/** The largest canvas, with a frame of one pixel: its place, a code size of 2, and one block of LZW codes. */
const LARGE_GIF = concat(
  ...['GIF89a', little(2, 13_376), little(2, 13_376), [0x80, 0, 0], Buffer.alloc(6)],
  ...[[0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 0x01, 0], [0x3b]],
);

/** A run-length coded bitmap with a palette of 256 colours. */
function runs(code: Buffer, count: number): Iterable<Buffer> {
  const head = Buffer.from(media.bmp({ width: 16, height: 16, runs: true }).subarray(0, 54 + 1024));
  for (const at of [18, 22]) head.writeInt32LE(13_376, at);
  return joined(head, repeated(code, count), Buffer.of(0, 1));
}

export const OTHER_IMAGES = filesOf({
  'loop-of-directories.tif': () => [
    ...[BEFORE_PAGE, directory(SMALL_PAGE, PAGE_AT + PAGE_BYTES), directory(SMALL_PAGE, PAGE_AT)],
  ],
  'deflated-zeros.tif': () => deflatedStrip(13_376),
  'canvas-largest.gif': () => [LARGE_GIF],
  'runs.bmp': () => runs(Buffer.of(1, 0), 5_000_000),
});

/** A RIFF file whose content has `length` bytes. */
const riff = (length: number, ...parts: readonly (Buffer | Iterable<Buffer>)[]): Iterable<Buffer> =>
  joined(concat('RIFF', little(4, length + 4), 'WEBP'), ...parts);

/**
 * A lossless picture of any size in eight bytes (RFC 9649, sections 3.4 and 3.7): no transforms, and five Huffman codes of
 * one symbol each, so that a pixel takes no bits.
 */
function lossless(width: number, height: number): Buffer {
  const sides = (width - 1) | ((height - 1) << 14);
  // Three zero bits, then 1000 five times, the least significant bit first.
  return chunk('VP8L', [0x2f], little(4, sides >>> 0), little(4, 0b0001_0001_0001_0001_0001 << 3));
}

const extended = (flags: number, width: number, height: number): Buffer =>
  chunk('VP8X', [flags, 0, 0, 0], little(3, width - 1), little(3, height - 1));

function animated(width: number, height: number, side: number, count: number): Iterable<Buffer> {
  const head = concat(extended(2, width, height), chunk('ANIM', Buffer.alloc(6)));
  const place = concat(Buffer.alloc(6), little(3, side - 1), little(3, side - 1), little(4, 40));
  const frame = chunk('ANMF', place, lossless(side, side));
  return riff(head.length + frame.length * count, head, repeated(frame, count));
}

const one = (picture: Buffer): Iterable<Buffer> => riff(picture.length, picture);

export const WEBPS = filesOf({
  'frames-of-one-pixel.webp': () => animated(1, 1, 1, 400_000),
  'frames-within-the-decoder-budget.webp': () => animated(2048, 2048, 2048, 30_000),
  'lossless-largest.webp': () => one(lossless(16_383, 10_923)),
  'lossless-within-the-decoder-budget.webp': () => one(lossless(4300, 4300)),
});
