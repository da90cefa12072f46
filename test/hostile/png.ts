import { constants, crc32, deflateRawSync } from 'node:zlib';
import { ADAM7_PASSES } from '../fixtures/adam7.js';
import { generated, type HostileFile, joined, repeated, u32, u32s, u8 } from './hostile-file.js';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

function chunk(type: string, ...payload: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...payload]);
  return Buffer.concat([u32(body.length - 4), body, u32(crc32(body))]);
}

/** A chunk whose payload need not fit into memory. */
function* largeChunk(type: string, payload: () => Iterable<Buffer>): Generator<Buffer> {
  let length = 0;
  let crc = crc32(Buffer.from(type, 'latin1'));
  for (const piece of payload()) {
    length += piece.length;
    crc = crc32(piece, crc);
  }
  yield Buffer.concat([u32(length), Buffer.from(type, 'latin1')]);
  yield* payload();
  yield u32(crc);
}

const MEGABYTE = 1 << 20;

/** A zlib stream of zeros, a thousandth of their number: one megabyte, compressed by itself, again and again. */
function* zeros(bytes: number): Generator<Buffer> {
  const flush = { level: 9, finishFlush: constants.Z_FULL_FLUSH };
  yield u8(0x78, 0xda);
  yield* repeated(deflateRawSync(Buffer.alloc(MEGABYTE), flush), Math.floor(bytes / MEGABYTE));
  yield deflateRawSync(Buffer.alloc(bytes % MEGABYTE), { level: 9 });
  // Adler-32 of zeros: the first sum stays 1, so the second counts them.
  yield u32((((bytes % 65_521) << 16) | 1) >>> 0);
}

interface Layout {
  readonly width: number;
  readonly height: number;
  readonly depth?: number;
  readonly colour?: number;
  readonly isInterlaced?: boolean;
}

function header({ width, height, depth = 8, colour = 0, isInterlaced = false }: Layout): Buffer {
  return Buffer.concat([SIGNATURE, chunk('IHDR', u32s(width, height), u8(depth, colour, 0, 0, isInterlaced ? 1 : 0))]);
}

const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Bytes of all rows, with their filter bytes (PNG specification, third edition, 8.1). */
function pixelBytes({ width, height, depth = 8, colour = 0, isInterlaced = false }: Layout): number {
  const used = isInterlaced ? ADAM7_PASSES : ([[0, 0, 1, 1]] as const);
  return used.reduce((sum, [left, top, across, down]) => {
    const [columns, rows] = [Math.ceil((width - left) / across), Math.ceil((height - top) / down)];
    return sum + (columns > 0 && rows > 0 ? rows * (1 + Math.ceil((columns * depth * (SAMPLES[colour] ?? 1)) / 8)) : 0);
  }, 0);
}

/** A picture of zeros, with other chunks before its pixels. */
function* picture(layout: Layout, before: Iterable<Buffer> = []): Generator<Buffer> {
  yield header(layout);
  yield* before;
  if (layout.colour === 3) yield chunk('PLTE', Buffer.alloc(3));
  yield* largeChunk('IDAT', () => zeros(pixelBytes(layout)));
  yield chunk('IEND');
}

const SMALL: Layout = { width: 8, height: 8 };
const textHead = Buffer.from('parameters\0\0', 'latin1');
const internationalHead = Buffer.from('parameters\0\x01\0\0\0', 'latin1');

/** One chunk that inflates to so many bytes. */
const inflating = (type: string, head: Buffer, bytes: number) =>
  picture(
    SMALL,
    largeChunk(type, () => joined(head, zeros(bytes))),
  );

/** An animation (APNG) of frames of one pixel. */
function* animation(frames: number): Generator<Buffer> {
  yield header({ width: 1, height: 1 });
  yield chunk('acTL', u32s(frames, 0));
  const data = Buffer.concat([...zeros(2)]);
  const control = (sequence: number) => chunk('fcTL', u32s(sequence, 1, 1, 0, 0), Buffer.from([0, 1, 0, 1, 0, 0]));
  yield Buffer.concat([control(0), chunk('IDAT', data)]);
  yield* generated(frames - 1, (index) =>
    Buffer.concat([control(2 * index + 1), chunk('fdAT', u32(2 * index + 2), data)]),
  );
  yield chunk('IEND');
}

const GIGABYTE = 1 << 30;
const SIDE = 13_376;

export const PNGS: readonly HostileFile[] = [
  { filename: 'text-of-gigabytes.png', pieces: () => inflating('zTXt', textHead, 2.4 * GIGABYTE) },
  {
    filename: 'international-text-of-gigabytes.png',
    pieces: () => inflating('iTXt', internationalHead, 2.4 * GIGABYTE),
  },
  { filename: 'profile-of-gigabytes.png', pieces: () => inflating('iCCP', textHead, 2.4 * GIGABYTE) },
  {
    filename: 'thousands-of-inflating-texts.png',
    pieces: () => {
      const text = Buffer.concat([...largeChunk('zTXt', () => joined(textHead, zeros(900_000)))]);
      return picture(SMALL, repeated(text, 1000));
    },
  },
  {
    filename: 'many-texts.png',
    pieces: () => picture(SMALL, repeated(chunk('tEXt', Buffer.from('a\0b')), 250_000)),
  },
  { filename: 'many-empty-data-chunks.png', pieces: () => picture(SMALL, repeated(chunk('IDAT'), 400_000)) },
  { filename: 'zeros-16-bit-rgba.png', pieces: () => picture({ width: SIDE, height: SIDE, depth: 16, colour: 6 }) },
  {
    filename: 'zeros-interlaced.png',
    pieces: () => picture({ width: SIDE, height: SIDE, depth: 16, colour: 6, isInterlaced: true }),
  },
  {
    filename: 'zeros-interlaced-1-bit.png',
    pieces: () => picture({ width: SIDE, height: SIDE, depth: 1, isInterlaced: true }),
  },
  { filename: 'column-of-one-pixel.png', pieces: () => picture({ width: 1, height: 178_956_970, depth: 1 }) },
  { filename: 'row-of-one-pixel.png', pieces: () => picture({ width: 178_956_970, height: 1, depth: 16, colour: 6 }) },
  {
    filename: 'column-interlaced.png',
    pieces: () => picture({ width: 1, height: 178_956_970, depth: 1, isInterlaced: true }),
    isExtra: true,
  },
  {
    filename: 'pixels-within-the-decoder-budget.png',
    pieces: () => picture({ width: SIDE, height: SIDE, depth: 1, colour: 0 }),
  },
  {
    filename: 'surplus-of-gigabytes.png',
    pieces: () =>
      joined(
        header(SMALL),
        largeChunk('IDAT', () => zeros(4 * GIGABYTE)),
        chunk('IEND'),
      ),
  },
  { filename: 'frames-of-one-pixel.png', pieces: () => animation(50_000) },
];
