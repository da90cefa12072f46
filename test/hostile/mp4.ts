import * as media from '../fixtures/media.js';
import { box, fullBox, largeBox, nested } from './boxes.js';
import { sized } from './h264.js';
import { FTYP, moovOf, type Tables, trackOf, VIDEO } from './movie.js';
import { generated, type HostileFile, joined, repeated, u16, u32, u32s, u64, u8 } from './hostile-file.js';

/** Key frames of one size, of which each has a chunk of its own unless the tables say otherwise. */
const FRAME = sized(VIDEO.key);
const table = (entries: readonly (readonly number[])[]): Buffer =>
  Buffer.concat([u32(entries.length), ...entries.map((entry) => u32s(...entry))]);
const largeTable = (count: number, entry: Buffer): Buffer => Buffer.concat([u32(count), ...repeated(entry, count)]);
const START = FTYP.length + 8;

function plain(frames: number, changed: Partial<Tables> = {}): Tables {
  return {
    stts: table([[frames, 40]]),
    stsc: table([[1, 1, 1]]),
    stsz: u32s(FRAME.length, frames),
    stco: largeTable(frames, u32(START)),
    ...changed,
  };
}

/** `ftyp`, one frame as media data, and a header with this track. */
const clip = (frames: number, changed: Partial<Tables> = {}, edits?: Buffer): Buffer[] => [
  FTYP,
  box('mdat', FRAME),
  moovOf(trackOf(plain(frames, changed), edits === undefined ? {} : { edits })),
];

/** An index of 65,535 references, each box only as long as the head of one. */
const indexes = (count: number): Iterable<Buffer> => {
  const bare = box('sidx', Buffer.alloc(0));
  const full = fullBox('sidx', 0, 0, u32s(1, 1000, 0, 0), u16(0), u16(0xffff));
  return joined(FTYP, repeated(count % 2 === 0 ? bare : full, count), box('mdat', FRAME), moovOf(trackOf(plain(1))));
};

/** Each `sidx` box has eight bytes; where a reader takes its count from, the bytes after it read as 25,000. */
function* referencesBeyondTheBox(count: number): Generator<Buffer> {
  yield FTYP;
  // A 16-byte box whose tail, read as part of the box before it, is a large count.
  const pair = Buffer.concat([
    box('sidx'),
    box('sidx'),
    box('free', u16(0), u16(25_000), u32s(0x61a861a8, 0x61a861a8)),
  ]);
  yield* repeated(pair, count);
  yield* [box('mdat', FRAME), moovOf(trackOf(plain(1)))];
}

/** So many `mdat` boxes, and a chunk in the last one and in the first by turns. */
function* manyMedia(boxes: number, chunks: number): Generator<Buffer> {
  const one = box('mdat', FRAME);
  yield FTYP;
  yield* repeated(one, boxes);
  const offset = (index: number) => START + (index % 2 === 0 ? 0 : (boxes - 1) * one.length);
  yield moovOf(
    trackOf(plain(chunks, { stco: Buffer.concat([u32(chunks), ...generated(chunks, (index) => u32(offset(index)))]) })),
  );
}

const extended = box('mvex', fullBox('trex', 0, 0, u32s(1, 1, 40, FRAME.length, 0)));
const emptyTables: Tables = { stts: u32(0), stsc: u32(0), stsz: u32s(0, 0), stco: u32(0) };

/** Fragments whose runs claim so many samples; the defaults make them need no bytes of the file. */
function* fragments(count: number, run: Buffer, data = box('mdat', FRAME)): Generator<Buffer> {
  const fragment = box('moof', fullBox('mfhd', 0, 0, u32(1)), box('traf', fullBox('tfhd', 0, 0x20000, u32(1)), run));
  yield Buffer.concat([FTYP, moovOf(trackOf(emptyTables), extended)]);
  yield* repeated(Buffer.concat([fragment, data]), count);
}
const fragmentBytes = box(
  'moof',
  fullBox('mfhd', 0, 0, u32(1)),
  box('traf', fullBox('tfhd', 0, 0x20000, u32(1)), fullBox('trun', 0, 1, u32s(1, 0))),
).length;

/** A real clip with one bit flipped in one of its tables. */
export function flippedTables(name: 'faststart.mp4' | 'moov-last.mp4', types = ['stts', 'stsc']): HostileFile[] {
  const bytes = media.clip(name);
  return types.flatMap((type) => {
    const at = bytes.indexOf(type) - 4;
    const bits = (bytes.readUInt32BE(at) - 8) * 8;
    return Array.from({ length: bits }, (_, bit) => ({
      filename: `flipped-${type}-${String(bit).padStart(3, '0')}.mp4`,
      pieces: () => {
        const changed = Buffer.from(bytes);
        const byte = at + 8 + (bit >> 3);
        changed[byte] = changed[byte]! ^ (0x80 >> (bit & 7));
        return [changed];
      },
    }));
  });
}

/** A clip whose frames are said to lie in another file. */
function externalData(): Buffer[] {
  const parts = clip(1);
  const moov = parts.pop()!;
  const inside = fullBox('url ', 0, 1);
  const outside = fullBox('url ', 0, 0, Buffer.from('file:///etc/passwd\0'));
  const at = moov.indexOf(inside);
  const grown = Buffer.concat([moov.subarray(0, at), outside, moov.subarray(at + inside.length)]);
  for (const type of ['moov', 'trak', 'mdia', 'minf', 'dinf', 'dref']) {
    const size = grown.indexOf(type) - 4;
    grown.writeUInt32BE(grown.readUInt32BE(size) + outside.length - inside.length, size);
  }
  return [...parts, grown];
}

export const MP4S: readonly HostileFile[] = [
  { filename: 'frames-in-another-file.mp4', pieces: externalData },
  { filename: 'references-beyond-the-box.mp4', pieces: () => referencesBeyondTheBox(300_000) },
  { filename: 'full-indexes.mp4', pieces: () => indexes(100_001) },
  { filename: 'bare-indexes.mp4', pieces: () => indexes(400_000) },
  { filename: 'media-boxes.mp4', pieces: () => manyMedia(200_000, 300_000) },
  {
    filename: 'empty-media-boxes.mp4',
    pieces: () => joined(FTYP, box('mdat', FRAME), repeated(box('mdat'), 1_000_000), moovOf(trackOf(plain(1)))),
  },
  { filename: 'times-of-billions.mp4', pieces: () => clip(10, { stts: table([[0xffff_fff0, 1]]) }) },
  {
    filename: 'many-times-of-billions.mp4',
    pieces: () => clip(10, { stts: largeTable(500_000, u32s(0xffff_fff0, 1)) }),
  },
  {
    filename: 'times-of-nothing.mp4',
    pieces: () => clip(10, { stts: Buffer.concat([u32(900_000), ...repeated(u32s(0, 1), 899_999), u32s(10, 40)]) }),
  },
  { filename: 'chunks-of-billions.mp4', pieces: () => clip(10, { stsc: table([[1, 0xffff_fff0, 1]]) }) },
  { filename: 'chunks-of-nothing.mp4', pieces: () => clip(1000, { stsc: table([[1, 0, 1]]) }) },
  {
    filename: 'chunk-runs-in-reverse.mp4',
    pieces: () =>
      clip(1000, {
        stsc: Buffer.concat([u32(600_000), ...generated(600_000, (index) => u32s(600_000 - index, 1, 1))]),
      }),
  },
  { filename: 'chunk-runs-all-first.mp4', pieces: () => clip(1000, { stsc: largeTable(600_000, u32s(1, 1, 1)) }) },
  { filename: 'million-frames-in-one-place.mp4', pieces: () => clip(1_500_000) },
  {
    filename: 'frames-of-no-bytes.mp4',
    pieces: () =>
      clip(1, { stsz: u32s(0, 1_500_000), stts: table([[1_500_000, 1]]), stsc: table([[1, 1_500_000, 1]]) }),
  },
  {
    filename: 'sizes-of-no-bytes.mp4',
    pieces: () =>
      clip(1, {
        stsz: Buffer.concat([u32s(0, 1_500_000), Buffer.alloc(6_000_000)]),
        stts: table([[1_500_000, 1]]),
        stsc: table([[1, 1_500_000, 1]]),
      }),
  },
  {
    filename: 'uniform-billions-of-one-byte.mp4',
    pieces: () => clip(1, { stsz: u32s(1, 0xffff_ffff), stts: table([[0xffff_ffff, 1]]), stsc: table([[1, 1, 1]]) }),
  },
  {
    filename: 'uniform-billions-in-one-chunk.mp4',
    pieces: () => clip(1, { stsz: u32s(1, 400), stts: table([[0xffff_ffff, 1]]), stsc: table([[1, 400, 1]]) }),
  },
  {
    filename: 'compositions.mp4',
    pieces: () => clip(10, { others: [fullBox('ctts', 0, 0, largeTable(900_000, u32s(0xffff_ffff, 1)))] }),
  },
  {
    filename: 'sync-samples.mp4',
    pieces: () => clip(10, { others: [fullBox('stss', 0, 0, largeTable(1_800_000, u32(1)))] }),
  },
  {
    filename: 'edits.mp4',
    pieces: () => clip(10, {}, box('edts', fullBox('elst', 0, 0, largeTable(600_000, u32s(1, 0, 0x10000))))),
  },
  {
    filename: 'edits-of-ages.mp4',
    pieces: () => clip(10, {}, box('edts', fullBox('elst', 0, 0, largeTable(10, u32s(0xffff_ffff, 0, 0x10000))))),
  },
  {
    filename: 'sample-groups.mp4',
    pieces: () =>
      clip(10, { others: [fullBox('sbgp', 0, 0, Buffer.from('roll'), largeTable(900_000, u32s(0xffff_ffff, 1)))] }),
  },
  {
    filename: 'nested-boxes.mp4',
    pieces: () => [FTYP, box('mdat', FRAME), moovOf(trackOf(plain(1)), nested('udta', 500_000))],
  },
  { filename: 'nested-movies.mp4', pieces: () => [FTYP, box('mdat', FRAME), nested('moov', 500_000)] },
  {
    filename: 'nested-tracks.mp4',
    pieces: () => [FTYP, box('mdat', FRAME), moovOf(trackOf(plain(1)), nested('trak', 500_000))],
  },
  {
    filename: 'nested-metadata.mp4',
    pieces: () => [FTYP, box('mdat', FRAME), moovOf(trackOf(plain(1)), box('udta', nested('meta', 500_000)))],
  },
  {
    filename: 'zero-size-boxes.mp4',
    pieces: () =>
      joined(
        FTYP,
        box('mdat', FRAME),
        moovOf(trackOf(plain(1))),
        Buffer.from('\0\0\0\0free'),
        repeated(Buffer.alloc(8), 1_000_000),
      ),
  },
  {
    filename: 'box-of-its-head.mp4',
    pieces: () => joined(FTYP, box('mdat', FRAME), moovOf(trackOf(plain(1))), repeated(box('free'), 1_200_000)),
  },
  {
    filename: 'boxes-before-the-movie.mp4',
    pieces: () => joined(FTYP, box('mdat', FRAME), repeated(box('free'), 1_200_000), moovOf(trackOf(plain(1)))),
  },
  {
    filename: 'boxes-in-the-movie.mp4',
    pieces: () => [FTYP, box('mdat', FRAME), moovOf(...repeated(box('free'), 400_000), trackOf(plain(1)))],
  },
  {
    filename: 'tracks-of-shared-chunks.mp4',
    pieces: () => [
      FTYP,
      box('mdat', FRAME),
      moovOf(...Array.from({ length: 250 }, (_, i) => trackOf(plain(10_000), { id: i + 1 }))),
    ],
  },
  {
    filename: 'thousands-of-tracks.mp4',
    pieces: () => [
      FTYP,
      box('mdat', FRAME),
      moovOf(...Array.from({ length: 5000 }, (_, i) => trackOf(plain(1), { id: i + 1 }))),
    ],
  },
  {
    filename: 'sample-entries.mp4',
    pieces: () => [
      FTYP,
      box('mdat', FRAME),
      moovOf(trackOf(plain(1), { entry: Buffer.concat([...repeated(box('avc1', Buffer.alloc(78)), 80_000)]) })),
    ],
  },
  {
    filename: 'runs-of-billions.mp4',
    pieces: () => fragments(10, fullBox('trun', 0, 1, u32s(0xffff_fff0, fragmentBytes + 8))),
  },
  {
    filename: 'runs-of-nothing.mp4',
    pieces: () => fragments(60_000, fullBox('trun', 0, 1, u32s(0, fragmentBytes + 8))),
  },
  {
    filename: 'fragments-of-one-frame.mp4',
    pieces: () => fragments(100_000, fullBox('trun', 0, 1, u32s(1, fragmentBytes + 8)), box('mdat', FRAME)),
    isExtra: true,
  },
  {
    filename: 'tens-of-thousands-of-fragments.mp4',
    pieces: () => fragments(40_000, fullBox('trun', 0, 1, u32s(1, fragmentBytes + 8))),
  },
  {
    filename: 'runs-in-one-fragment.mp4',
    pieces: () => fragments(1, Buffer.concat([...repeated(fullBox('trun', 0, 0, u32(0)), 300_000)])),
  },
  { filename: 'large-times.mp4', pieces: () => clip(10, { stts: table([[10, 0xffff_ffff]]) }) },
  {
    filename: 'large-box-of-the-largest-size.mp4',
    pieces: () => [FTYP, Buffer.concat([u32(1), Buffer.from('mdat'), u64(0xffff_ffff_ffff_ffffn)])],
  },
  {
    filename: 'compressed-movie.mov',
    pieces: () => [
      FTYP,
      box('moov', box('cmov', box('dcom', Buffer.from('zlib')), box('cmvd', u32(0x7fff_ffff), Buffer.alloc(100)))),
    ],
  },
  {
    filename: 'names-of-megabytes.mp4',
    pieces: () => [
      FTYP,
      box('mdat', FRAME),
      moovOf(trackOf(plain(1)), box('udta', fullBox('name', 0, 0, Buffer.alloc(7_000_000, 'a')))),
    ],
  },
  {
    filename: 'large-movie.mp4',
    pieces: () =>
      joined(
        FTYP,
        box('mdat', FRAME),
        largeBox('free', 5_000_000, repeated(u8(0), 5_000_000)),
        moovOf(trackOf(plain(1))),
      ),
  },
];
