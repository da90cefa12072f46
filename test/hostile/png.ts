import { constants, crc32, deflateRawSync } from 'node:zlib';
import { ADAM7_PASSES, concat, PNG_SIGNATURE, pngChunk as chunk, u32 } from '../fixtures/bytes.js';
import { filesOf, joined, repeated } from './hostile-file.js';

/** A chunk whose payload need not fit into memory. */
function* largeChunk(type: string, payload: () => Iterable<Buffer>): Generator<Buffer> {
  let length = 0;
  let crc = crc32(Buffer.from(type, 'latin1'));
  for (const piece of payload()) {
    length += piece.length;
    crc = crc32(piece, crc);
  }
  yield concat(u32(length), type);
  yield* payload();
  yield u32(crc);
}

const MEGABYTE = 1 << 20;

/** A zlib stream of zeros, a thousandth of their number: one megabyte, compressed by itself, again and again. */
function* zeros(bytes: number): Generator<Buffer> {
  const flush = { level: 9, finishFlush: constants.Z_FULL_FLUSH };
  yield Buffer.of(0x78, 0xda);
  yield* repeated(deflateRawSync(Buffer.alloc(MEGABYTE), flush), Math.floor(bytes / MEGABYTE));
  yield deflateRawSync(Buffer.alloc(bytes % MEGABYTE), { level: 9 });
  // Adler-32 of zeros: the first sum stays 1, so the second counts them.
  yield u32(((bytes % 65_521) << 16) | 1);
}

interface Layout {
  readonly depth?: number;
  readonly colour?: number;
  readonly isInterlaced?: boolean;
}

function header(width: number, height: number, { depth = 8, colour = 0, isInterlaced = false }: Layout = {}): Buffer {
  return concat(PNG_SIGNATURE, chunk('IHDR', u32(width, height), [depth, colour, 0, 0, isInterlaced ? 1 : 0]));
}

/** Bytes of all rows, with their filter bytes (PNG specification, third edition, 8.1). */
function pixelBytes(width: number, height: number, { depth = 8, colour = 0, isInterlaced = false }: Layout): number {
  const used = isInterlaced ? ADAM7_PASSES : ([[0, 0, 1, 1]] as const);
  return used.reduce((sum, [left, top, across, down]) => {
    const [columns, rows] = [Math.ceil((width - left) / across), Math.ceil((height - top) / down)];
    const bits = columns * depth * (colour === 6 ? 4 : 1);
    return sum + (columns > 0 && rows > 0 ? rows * (1 + Math.ceil(bits / 8)) : 0);
  }, 0);
}

const END = chunk('IEND');

/** A picture of zeros, with other chunks before its pixels. */
function picture(width: number, height: number, layout: Layout = {}, before: Iterable<Buffer> = []): Iterable<Buffer> {
  const pixels = largeChunk('IDAT', () => zeros(pixelBytes(width, height, layout)));
  return joined(header(width, height, layout), before, pixels, END);
}
const small = (before: Iterable<Buffer>) => picture(8, 8, {}, before);

/** One chunk that inflates to so many bytes. */
const inflating = (type: string, head: string, bytes: number) =>
  largeChunk(type, () => joined(Buffer.from(head, 'latin1'), zeros(bytes)));

const TEXT_HEAD = 'parameters\0\0';

const GIGABYTE = 1 << 30;
const SIDE = 13_376;
const LONGEST = 178_956_970;

export const PNGS = filesOf({
  'text-of-gigabytes.png': () => small(inflating('zTXt', TEXT_HEAD, 2.4 * GIGABYTE)),
  'thousands-of-inflating-texts.png': () => small(repeated(concat(...inflating('zTXt', TEXT_HEAD, 900_000)), 1000)),
  'many-texts.png': () => small(repeated(chunk('tEXt', 'a\0b'), 250_000)),
  'many-empty-data-chunks.png': () => small(repeated(chunk('IDAT'), 400_000)),
  'zeros-interlaced.png': () => picture(SIDE, SIDE, { depth: 16, colour: 6, isInterlaced: true }),
  'column-of-one-pixel.png': () => picture(1, LONGEST, { depth: 1 }),
  'surplus-of-gigabytes.png': () => joined(header(8, 8), inflating('IDAT', '', 4 * GIGABYTE), END),
});
