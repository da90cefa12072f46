import { concat, jpegSegment as segment, u16 } from '../fixtures/bytes.js';
import { BitWriter, filesOf, generated, joined, repeated } from './hostile-file.js';

const START = Buffer.of(0xff, 0xd8);
const END = Buffer.of(0xff, 0xd9);
const QUANTIZATION = segment(0xdb, [0], Buffer.alloc(64, 1));

/** Huffman tables (ITU-T T.81, B.2.4.2): the DC table has one code of one bit, and the AC table is given by its symbols. */
function huffman(codeBits: number, symbols: readonly number[]): Buffer {
  const counts = Buffer.alloc(16);
  counts[codeBits - 1] = symbols.length;
  return concat(segment(0xc4, [0, 1], Buffer.alloc(15), [0]), segment(0xc4, [0x10], counts, symbols));
}
/** A code for "no further coefficients". */
const FLAT = huffman(1, [0]);
/** Codes of four bits for a run of 2^14 blocks without further coefficients, of 2^13, … and of one. */
const RUNS = huffman(
  4,
  Array.from({ length: 15 }, (_, i) => (14 - i) << 4),
);

type Size = readonly [width: number, height: number];

function frame(marker: number, [width, height]: Size, components: number): Buffer {
  const parts = Array.from({ length: components }, (_, i) => [i + 1, 0x11, 0]);
  return segment(marker, [8], u16(height, width), [components], ...parts);
}

const scan = (id: number, { first = 0, last = 63, high = 0, low = 0 } = {}): Buffer =>
  segment(0xda, [1, id, 0, first, last, (high << 4) | low]);

const blocksOf = ([width, height]: Size): number => Math.ceil(width / 8) * Math.ceil(height / 8);

/** Flat blocks, of so many zero bits each: a code for "no difference", and one for "no further coefficients". */
const flatBlocks = (size: Size, bitsPerBlock = 2): Iterable<Buffer> =>
  repeated(Buffer.alloc(1), Math.ceil((blocksOf(size) * bitsPerBlock) / 8));

/** A scan of AC coefficients that are all zero: a few bytes for any number of blocks. */
function emptyBand(blocks: number): Buffer {
  const writer = new BitWriter();
  let left = blocks;
  for (let power = 14; power >= 0; power--) {
    for (; left >= 2 ** power; left -= 2 ** power) writer.bits(4, 14 - power).bits(power, 0);
  }
  return writer.end(1);
}

/** A decoder buffers the whole picture, two bytes for each coefficient, if its components come in separate scans. */
function separateScans(size: Size, components: number): Iterable<Buffer> {
  const scans = Array.from({ length: components }, (_, i) => [[scan(i + 1)], flatBlocks(size)]).flat();
  return joined(concat(START, QUANTIZATION, FLAT, frame(0xc0, size, components)), ...scans, END);
}

/** Each scan costs a decoder a pass over all blocks. With `isOrdered`, no scan sends what an earlier one has sent. */
function progressive(size: Size, scans: number, { isOrdered }: { isOrdered: boolean }): Iterable<Buffer> {
  const data = emptyBand(blocksOf(size));
  const further = generated(scans - 1, (index) => {
    const first = isOrdered ? 1 + (index % 63) : 1;
    const low = isOrdered ? 13 - Math.floor(index / 63) : 0;
    const high = isOrdered && index >= 63 ? low + 1 : 0;
    return concat(scan(1, { first, last: first, high, low }), data);
  });
  const head = concat(START, QUANTIZATION, RUNS, frame(0xc2, size, 1), scan(1, { last: 0 }));
  return joined(head, flatBlocks(size, 1), further, END);
}

/** A restart marker after every MCU. */
function restarts(size: Size): Iterable<Buffer> {
  const blocks = blocksOf(size);
  const one = (index: number) => Buffer.from([0x3f, 0xff, 0xd0 + (index & 7)].slice(0, index + 1 < blocks ? 3 : 1));
  const head = concat(START, QUANTIZATION, FLAT, frame(0xc0, size, 1), segment(0xdd, u16(1)), scan(1));
  return joined(head, generated(blocks, one), END);
}

/** A picture of one flat component, with other segments before its scan. */
function padded(before: Iterable<Buffer>): Iterable<Buffer> {
  const head = concat(QUANTIZATION, FLAT, frame(0xc0, [8, 8], 1), scan(1));
  return joined(START, before, head, flatBlocks([8, 8]), END);
}

const EXIF = concat('Exif\0\0II*\0', [8, 0, 0, 0, 0xff, 0xff], Buffer.alloc(65_000));
const LARGEST: Size = [13_376, 13_376];
const again = (piece: Buffer, times: number) => padded(repeated(piece, times));

export const JPEGS = filesOf({
  'separate-scans.jpg': () => separateScans(LARGEST, 3),
  'ordered-scans-of-the-largest.jpg': () => progressive(LARGEST, 490, { isOrdered: true }),
  'many-scans-of-one-block.jpg': () => progressive([8, 8], 200_000, { isOrdered: false }),
  'restart-after-each-block.jpg': () => restarts(LARGEST),
  'many-exif-blocks.jpg': () => again(segment(0xe1, EXIF), 150),
  'many-fill-bytes.jpg': () => again(Buffer.of(0xff), 5_000_000),
  'many-tables.jpg': () => again(RUNS, 40_000),
  'hundreds-of-components.jpg': () => [concat(START, QUANTIZATION, frame(0xc0, [1000, 1000], 255), scan(1), END)],
});
