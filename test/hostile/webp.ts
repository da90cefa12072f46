import { type HostileFile, joined, repeated, u8 } from './hostile-file.js';

function little(bytes: number, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntLE(value, 0, bytes);
  return buffer;
}

const chunk = (type: string, ...payload: Buffer[]): Buffer => {
  const bytes = Buffer.concat(payload);
  return Buffer.concat([Buffer.from(type, 'latin1'), little(4, bytes.length), bytes, Buffer.alloc(bytes.length & 1)]);
};

/** A RIFF file whose content has `length` bytes. */
function* riff(length: number, ...parts: readonly (Buffer | Iterable<Buffer>)[]): Generator<Buffer> {
  yield Buffer.concat([Buffer.from('RIFF'), little(4, length + 4), Buffer.from('WEBP')]);
  yield* joined(...parts);
}

/**
 * A lossless picture of any size in eight bytes (RFC 9649, sections 3.4 and 3.7): no transforms, and five Huffman codes of
 * one symbol each, so that a pixel takes no bits.
 */
function lossless(width: number, height: number): Buffer {
  const sides = (width - 1) | ((height - 1) << 14);
  const codes = Buffer.alloc(4);
  // Three zero bits, then 1000 five times, the least significant bit first.
  codes.writeUInt32LE(0b0001_0001_0001_0001_0001 << 3);
  return chunk('VP8L', u8(0x2f), little(4, sides >>> 0), codes);
}

const extended = (flags: number, width: number, height: number): Buffer =>
  chunk('VP8X', u8(flags, 0, 0, 0), little(3, width - 1), little(3, height - 1));

function animated(
  canvas: { width: number; height: number },
  frame: { side: number; count: number },
): Generator<Buffer> {
  const head = Buffer.concat([extended(2, canvas.width, canvas.height), chunk('ANIM', Buffer.alloc(6))]);
  const place = Buffer.concat([Buffer.alloc(6), little(3, frame.side - 1), little(3, frame.side - 1), little(4, 40)]);
  const one = chunk('ANMF', place, lossless(frame.side, frame.side));
  return riff(head.length + one.length * frame.count, head, repeated(one, frame.count));
}

/** Chunks that readers skip, before the picture or after it. */
function padded(piece: Buffer, count: number, place: 'before' | 'after'): Generator<Buffer> {
  const [head, picture] = [extended(0, 8, 8), lossless(8, 8)];
  const length = head.length + picture.length + piece.length * count;
  const padding = repeated(piece, count);
  return place === 'before' ? riff(length, head, padding, picture) : riff(length, head, picture, padding);
}

const one = (picture: Buffer): Generator<Buffer> => riff(picture.length, picture);

export const WEBPS: readonly HostileFile[] = [
  {
    filename: 'frames-of-one-pixel.webp',
    pieces: () => animated({ width: 1, height: 1 }, { side: 1, count: 400_000 }),
  },
  {
    filename: 'frames-within-the-decoder-budget.webp',
    pieces: () => animated({ width: 2048, height: 2048 }, { side: 2048, count: 30_000 }),
  },
  {
    filename: 'two-million-frames.webp',
    pieces: () => animated({ width: 1, height: 1 }, { side: 1, count: 2e6 }),
    isExtra: true,
  },
  { filename: 'lossless-largest.webp', pieces: () => one(lossless(16_383, 10_923)) },
  { filename: 'lossless-over-the-limit.webp', pieces: () => one(lossless(16_383, 16_383)) },
  { filename: 'lossless-within-the-decoder-budget.webp', pieces: () => one(lossless(4300, 4300)) },
  { filename: 'canvas-largest.webp', pieces: () => animated({ width: 16_383, height: 10_923 }, { side: 1, count: 2 }) },
  { filename: 'empty-chunks-before.webp', pieces: () => padded(chunk('JUNK'), 500_000, 'before') },
  { filename: 'empty-chunks-after.webp', pieces: () => padded(chunk('JUNK'), 100_000, 'after') },
  {
    filename: 'many-exif.webp',
    pieces: () => padded(chunk('EXIF', Buffer.from('II*\0\x08\0\0\0\xff\xff', 'latin1')), 100_000, 'after'),
  },
  { filename: 'many-pictures.webp', pieces: () => padded(lossless(4000, 4000), 100_000, 'after') },
];
