import { constants, deflateSync } from 'node:zlib';
import * as media from '../fixtures/media.js';
import { type HostileFile, joined, repeated, u8 } from './hostile-file.js';

function little(bytes: number, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntLE(value, 0, bytes);
  return buffer;
}

interface Field {
  readonly tag: number;
  readonly type?: number;
  readonly count?: number;
  readonly value: number;
}

/** A directory of a little-endian TIFF: types are 3 (16 bits) and 4 (32 bits). */
function directory(fields: readonly Field[], next: number): Buffer {
  const entries = fields.map(({ tag, type = 4, count = 1, value }) =>
    Buffer.concat([little(2, tag), little(2, type), little(4, count), little(4, value)]),
  );
  return Buffer.concat([little(2, fields.length), ...entries, little(4, next)]);
}

const tiffHead = (first: number): Buffer => Buffer.concat([Buffer.from('II*\0', 'latin1'), little(4, first)]);

const page = (side: number, strips: Omit<Field, 'tag'>, bytes: Omit<Field, 'tag'>, compression = 1): Field[] => [
  { tag: 256, value: side },
  { tag: 257, value: side },
  { tag: 258, value: 8 },
  { tag: 259, value: compression },
  { tag: 262, value: 1 },
  { tag: 273, ...strips },
  { tag: 277, value: 1 },
  { tag: 278, value: Math.ceil(side / Math.max(1, strips.count ?? 1)) },
  { tag: 279, ...bytes },
];

/** A page of 8 × 8 pixels, whose bytes lie at offset 8. */
const smallPage = page(8, { value: 8 }, { value: 64 });
const PAGE_AT = 8 + 64;
const pageBytes = directory(smallPage, 0).length;

function* manyDirectories(count: number): Generator<Buffer> {
  yield Buffer.concat([tiffHead(PAGE_AT), Buffer.alloc(64)]);
  for (let index = 0; index < count; index++) {
    const next = index + 1 < count ? PAGE_AT + (index + 1) * pageBytes : 0;
    yield directory(smallPage, next);
  }
}

function* duplicateTags(tag: number): Generator<Buffer> {
  yield Buffer.concat([tiffHead(PAGE_AT), Buffer.alloc(64)]);
  const rest = 65_535 - smallPage.length;
  yield little(2, 65_535);
  yield directory(smallPage, 0).subarray(2, -4);
  yield* repeated(directory([{ tag, value: 8 }], 0).subarray(2, -4), rest);
  yield little(4, 0);
}

/** Directories that refer back to an earlier one. */
const loopOfDirectories = (): Buffer[] => {
  const second = PAGE_AT + pageBytes;
  return [tiffHead(PAGE_AT), Buffer.alloc(64), directory(smallPage, second), directory(smallPage, PAGE_AT)];
};

/** A field with so many values at the end of the file, beside a picture. */
function* largeField(field: { tag: number; type: number; count: number }): Generator<Buffer> {
  const bytes = field.count * (field.type === 3 ? 2 : field.type === 4 ? 4 : 1);
  const at = PAGE_AT + directory([...smallPage, { ...field, value: 0 }], 0).length;
  yield Buffer.concat([tiffHead(PAGE_AT), Buffer.alloc(64), directory([...smallPage, { ...field, value: at }], 0)]);
  yield* repeated(Buffer.from([8, 0, 0, 0]), bytes / 4);
}

/** Millions of strips that all lie in the same place. */
function* manyStrips(count: number): Generator<Buffer> {
  const layout = (offsets: number, lengths: number) =>
    directory(page(13_376, { count, value: offsets }, { count, value: lengths }), 0);
  const at = 8 + layout(0, 0).length;
  yield Buffer.concat([tiffHead(8), layout(at, at + 4 * count)]);
  yield* repeated(little(4, 8), count);
  yield* repeated(little(4, 1), count);
}

/** One strip of deflated zeros. */
function deflatedStrip(side: number): Buffer[] {
  const pixels = deflateSync(Buffer.alloc(side * side), { level: 9, finishFlush: constants.Z_FINISH });
  const at = 8 + pixels.length;
  return [tiffHead(at), pixels, directory(page(side, { value: 8 }, { value: pixels.length }, 8), 0)];
}

function gifHead(width: number, height: number): Buffer {
  return Buffer.concat([Buffer.from('GIF89a'), little(2, width), little(2, height), u8(0x80, 0, 0), Buffer.alloc(6)]);
}

/** A frame of one pixel: its place, a code size of 2, and one block of LZW codes. */
const gifFrame = (left: number, top: number): Buffer =>
  Buffer.concat([u8(0x2c), little(2, left), little(2, top), little(2, 1), little(2, 1), u8(0, 2, 2, 0x44, 0x01, 0)]);
const GIF_END = u8(0x3b);

/** Blocks of one byte each, within one comment or one frame. */
const gifBlocks = (introducer: Buffer, count: number): Iterable<Buffer> =>
  joined(gifHead(1, 1), introducer, repeated(u8(1, 0), count), u8(0), gifFrame(0, 0), GIF_END);

/** A run-length coded bitmap with a palette of 256 colours. */
function runs(size: { width: number; height: number }, code: Buffer, count: number): Iterable<Buffer> {
  const head = media.bmp({ width: 16, height: 16, runs: true }).subarray(0, 54 + 1024);
  const changed = Buffer.from(head);
  changed.writeInt32LE(size.width, 18);
  changed.writeInt32LE(size.height, 22);
  return joined(changed, repeated(code, count), u8(0, 1));
}

export const OTHER_IMAGES: readonly HostileFile[] = [
  { filename: 'duplicate-tags.tif', pieces: () => duplicateTags(256) },
  { filename: 'duplicate-offsets.tif', pieces: () => duplicateTags(273) },
  { filename: 'thousands-of-directories.tif', pieces: () => manyDirectories(50_000) },
  { filename: 'loop-of-directories.tif', pieces: () => loopOfDirectories() },
  { filename: 'directory-of-itself.tif', pieces: () => [tiffHead(8), directory(smallPage, 8)] },
  { filename: 'millions-of-strips.tif', pieces: () => manyStrips(1 << 22), isExtra: true },
  { filename: 'many-strips.tif', pieces: () => manyStrips(250_000) },
  { filename: 'large-description.tif', pieces: () => largeField({ tag: 270, type: 2, count: 10_000_000 }) },
  { filename: 'large-sample-list.tif', pieces: () => largeField({ tag: 258, type: 4, count: 1_000_000 }) },
  { filename: 'deflated-zeros.tif', pieces: () => deflatedStrip(13_376) },
  { filename: 'canvas-largest.gif', pieces: () => [gifHead(13_376, 13_376), gifFrame(0, 0), GIF_END] },
  { filename: 'frame-outside.gif', pieces: () => [gifHead(1, 1), gifFrame(65_534, 65_534), GIF_END] },
  {
    filename: 'canvas-within-the-decoder-budget.gif',
    pieces: () => joined(gifHead(4100, 4100), repeated(gifFrame(0, 0), 250_000), GIF_END),
  },
  { filename: 'many-frames.gif', pieces: () => joined(gifHead(1, 1), repeated(gifFrame(0, 0), 500_000), GIF_END) },
  { filename: 'comment-of-small-blocks.gif', pieces: () => gifBlocks(u8(0x21, 0xfe), 2_500_000) },
  {
    filename: 'pixels-of-small-blocks.gif',
    pieces: () => gifBlocks(Buffer.concat([gifFrame(0, 0).subarray(0, 10), u8(2)]), 2_500_000),
  },
  {
    filename: 'empty-comments.gif',
    pieces: () => joined(gifHead(1, 1), repeated(u8(0x21, 0xfe, 0), 2_000_000), gifFrame(0, 0), GIF_END),
  },
  { filename: 'runs.bmp', pieces: () => runs({ width: 13_376, height: 13_376 }, u8(1, 0), 5_000_000) },
  { filename: 'steps.bmp', pieces: () => runs({ width: 13_376, height: 13_376 }, u8(0, 2, 0, 0), 2_500_000) },
  { filename: 'ends-of-line.bmp', pieces: () => runs({ width: 13_376, height: 13_376 }, u8(0, 0), 5_000_000) },
];
