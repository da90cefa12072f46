import { BitWriter } from './bit-writer.js';
import { generated, type HostileFile, joined, repeated, u16, u8 } from './hostile-file.js';

const START = u8(0xff, 0xd8);
const END = u8(0xff, 0xd9);

const segment = (marker: number, ...payload: Buffer[]): Buffer => {
  const bytes = Buffer.concat(payload);
  return Buffer.concat([u8(0xff, marker), u16(bytes.length + 2), bytes]);
};
const quantization = segment(0xdb, u8(0), Buffer.alloc(64, 1));

/** Huffman tables (ITU-T T.81, B.2.4.2): the DC table has one code of one bit, and the AC table is given by its symbols. */
function huffman(ac: { codeBits: number; symbols: readonly number[] }): Buffer {
  const counts = Buffer.alloc(16);
  counts[ac.codeBits - 1] = ac.symbols.length;
  const dcCounts = Buffer.alloc(16);
  dcCounts[0] = 1;
  return Buffer.concat([
    segment(0xc4, u8(0x00), dcCounts, u8(0)),
    segment(0xc4, u8(0x10), counts, Buffer.from(ac.symbols)),
  ]);
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function frame(marker: number, { width, height }: Size, components: number): Buffer {
  const parts = Array.from({ length: components }, (_, i) => u8(i + 1, 0x11, 0));
  return segment(marker, u8(8), u16(height), u16(width), u8(components), ...parts);
}

function scan(components: readonly number[], band = { first: 0, last: 63, high: 0, low: 0 }): Buffer {
  const parts = components.map((id) => u8(id, 0));
  return segment(0xda, u8(components.length), ...parts, u8(band.first, band.last, (band.high << 4) | band.low));
}

const blocksOf = ({ width, height }: Size): number => Math.ceil(width / 8) * Math.ceil(height / 8);

/** Flat blocks, of so many zero bits each: a code for "no difference", and one for "no further coefficients". */
const flatBlocks = (blocks: number, bitsPerBlock: number): Iterable<Buffer> =>
  repeated(u8(0), Math.ceil((blocks * bitsPerBlock) / 8));

/** Codes of four bits for a run of 2^14 blocks without further coefficients, of 2^13, … and of one. */
const RUNS = { codeBits: 4, symbols: Array.from({ length: 15 }, (_, i) => (14 - i) << 4) };

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
function* separateScans(size: Size, components = 3): Generator<Buffer> {
  yield Buffer.concat([START, quantization, huffman({ codeBits: 1, symbols: [0] }), frame(0xc0, size, components)]);
  for (let id = 1; id <= components; id++) {
    yield scan([id]);
    yield* flatBlocks(blocksOf(size), 2);
  }
  yield END;
}

/** Each scan costs a decoder a pass over all blocks. With `isOrdered`, no scan sends what an earlier one has sent. */
function* progressive(size: Size, { scans, isOrdered }: { scans: number; isOrdered: boolean }): Generator<Buffer> {
  const blocks = blocksOf(size);
  yield Buffer.concat([START, quantization, huffman(RUNS), frame(0xc2, size, 1)]);
  yield scan([1], { first: 0, last: 0, high: 0, low: 0 });
  yield* flatBlocks(blocks, 1);
  const data = emptyBand(blocks);
  yield* generated(scans - 1, (index) => {
    const first = isOrdered ? 1 + (index % 63) : 1;
    const low = isOrdered ? 13 - Math.floor(index / 63) : 0;
    const high = isOrdered && index >= 63 ? low + 1 : 0;
    return Buffer.concat([scan([1], { first, last: first, high, low }), data]);
  });
  yield END;
}

/** A restart marker after every MCU. */
function* restarts(size: Size): Generator<Buffer> {
  const interval = segment(0xdd, u16(1));
  yield Buffer.concat([START, quantization, huffman({ codeBits: 1, symbols: [0] }), frame(0xc0, size, 1), interval]);
  yield scan([1]);
  const blocks = blocksOf(size);
  yield* generated(blocks, (index) => (index + 1 < blocks ? u8(0x3f, 0xff, 0xd0 + (index & 7)) : u8(0x3f)));
  yield END;
}

/** A picture of one flat component, with other segments before its scan. */
function* padded(padding: Iterable<Buffer>, size: Size = { width: 8, height: 8 }): Generator<Buffer> {
  yield START;
  yield* padding;
  yield Buffer.concat([quantization, huffman({ codeBits: 1, symbols: [0] }), frame(0xc0, size, 1), scan([1])]);
  yield* flatBlocks(blocksOf(size), 2);
  yield END;
}

/** The height comes after the first scan (B.2.5), in a segment that no reader of ours supports. */
function* lateHeight(size: Size): Generator<Buffer> {
  const head = frame(0xc0, { ...size, height: 0 }, 1);
  yield Buffer.concat([START, quantization, huffman({ codeBits: 1, symbols: [0] }), head, scan([1])]);
  yield* flatBlocks(blocksOf(size), 2);
  yield segment(0xdc, u16(size.height));
  yield END;
}

/** Directories of 65,535 entries that cost nothing, and that refer to each other without end (TIFF 6.0, section 2). */
function exifLoop(): Buffer {
  const entry = (tag: number, type: number, value: number) => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16LE(tag, 0);
    bytes.writeUInt16LE(type, 2);
    bytes.writeUInt32LE(1, 4);
    bytes.writeUInt32LE(value, 8);
    return bytes;
  };
  const pointers = Array.from({ length: 5400 }, (_, i) => entry([0x8769, 0x8825, 0xa005][i % 3]!, 4, 8));
  return Buffer.concat([Buffer.from('Exif\0\0II*\0\x08\0\0\0', 'latin1'), u8(0x18, 0x15), ...pointers, u8(8, 0, 0, 0)]);
}

const exif = Buffer.concat([Buffer.from('Exif\0\0II*\0'), Buffer.from([8, 0, 0, 0, 0xff, 0xff]), Buffer.alloc(65_000)]);
const LARGEST: Size = { width: 13_376, height: 13_376 };
const SIDE = 1000;

export const JPEGS: readonly HostileFile[] = [
  { filename: 'separate-scans.jpg', pieces: () => separateScans(LARGEST) },
  { filename: 'separate-scans-of-four.jpg', pieces: () => separateScans(LARGEST, 4), isExtra: true },
  {
    filename: 'five-thousand-scans.jpg',
    pieces: () => progressive({ width: 4000, height: 4000 }, { scans: 5000, isOrdered: false }),
  },
  {
    filename: 'ordered-scans-of-the-largest.jpg',
    pieces: () => progressive(LARGEST, { scans: 490, isOrdered: true }),
  },
  {
    filename: 'ordered-scans-882.jpg',
    pieces: () => progressive(LARGEST, { scans: 882, isOrdered: true }),
    isExtra: true,
  },
  { filename: 'few-scans-of-the-largest.jpg', pieces: () => progressive(LARGEST, { scans: 64, isOrdered: true }) },
  {
    filename: 'many-scans-of-one-block.jpg',
    pieces: () => progressive({ width: 8, height: 8 }, { scans: 200_000, isOrdered: false }),
  },
  { filename: 'restart-after-each-block.jpg', pieces: () => restarts(LARGEST) },
  { filename: 'largest-in-two-bits-a-block.jpg', pieces: () => padded([], LARGEST) },
  { filename: 'strip-of-one-row.jpg', pieces: () => padded([], { width: 65_500, height: 1 }) },
  { filename: 'late-height.jpg', pieces: () => lateHeight({ width: 4000, height: 4000 }) },
  { filename: 'many-exif-blocks.jpg', pieces: () => padded(repeated(segment(0xe1, exif), 150)) },
  { filename: 'exif-that-refers-to-itself.jpg', pieces: () => padded(repeated(segment(0xe1, exifLoop()), 100)) },
  {
    filename: 'many-small-exif-blocks.jpg',
    pieces: () => padded(repeated(segment(0xe1, exif.subarray(0, 20)), 200_000)),
  },
  { filename: 'many-comments.jpg', pieces: () => padded(repeated(segment(0xfe), 600_000)) },
  { filename: 'many-fill-bytes.jpg', pieces: () => padded(repeated(u8(0xff), 5_000_000)) },
  { filename: 'many-tables.jpg', pieces: () => padded(repeated(huffman(RUNS), 40_000)) },
  {
    filename: 'many-quantization-tables.jpg',
    pieces: () => padded(repeated(quantization, 70_000)),
  },
  {
    filename: 'hundreds-of-components.jpg',
    pieces: () => [
      Buffer.concat([START, quantization, frame(0xc0, { width: SIDE, height: SIDE }, 255), scan([1]), END]),
    ],
  },
  {
    filename: 'stray-bytes.jpg',
    pieces: () =>
      padded(joined(segment(0xfe, Buffer.from('then stray bytes')), repeated(Buffer.from('stray'), 1_000_000))),
  },
];
