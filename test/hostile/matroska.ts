import { configuration, greyVideo, sized } from './h264.js';
import { type HostileFile, joined, repeated, u16, u8 } from './hostile-file.js';

/** Identifiers of RFC 9559. */
const [EBML, SEGMENT, INFO, TRACKS, CLUSTER, CUES, TAGS, ATTACHMENTS, CHAPTERS, SEEK_HEAD] = [
  '1a45dfa3',
  '18538067',
  '1549a966',
  '1654ae6b',
  '1f43b675',
  '1c53bb6b',
  '1254c367',
  '1941a469',
  '1043a770',
  '114d9b74',
] as const;
const [VOID, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK] = ['ec', 'e7', 'a3', 'a0', 'a1'] as const;
const [SCALE, DURATION, TRACK, NUMBER, UID, TYPE, CODEC, PRIVATE, PICTURE] = [
  '2ad7b1',
  '4489',
  'ae',
  'd7',
  '73c5',
  '83',
  '86',
  '63a2',
  'e0',
] as const;

/** A size in eight bytes. */
function sizeOf(bytes: number): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE((1n << 56n) | BigInt(bytes));
  return size;
}
const UNKNOWN = u8(0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

export const element = (id: string, ...payload: Buffer[]): Buffer => {
  const bytes = Buffer.concat(payload);
  const size = bytes.length < 127 ? u8(0x80 | bytes.length) : sizeOf(bytes.length);
  return Buffer.concat([Buffer.from(id, 'hex'), size, bytes]);
};
const open = (id: string): Buffer => Buffer.concat([Buffer.from(id, 'hex'), UNKNOWN]);

const VIDEO = greyVideo({ across: 4, down: 4 });
const head = element(EBML, element('4282', Buffer.from('matroska')), element('4287', u8(4)), element('4285', u8(2)));
const track = (number: number, codec = 'V_MPEG4/ISO/AVC', private_ = configuration(VIDEO)): Buffer =>
  element(
    TRACK,
    element(NUMBER, u8(number)),
    element(UID, u8(number)),
    element(TYPE, u8(codec.startsWith('V') ? 1 : 0x11)),
    element(CODEC, Buffer.from(codec)),
    element(PRIVATE, private_),
    element(PICTURE, element('b0', u8(64)), element('ba', u8(64))),
  );

const block = (time = 0, flags = 0x80, data: Buffer = sized(VIDEO.key)): Buffer =>
  element(SIMPLE_BLOCK, u8(0x81), u16(time & 0xffff), u8(flags), data);
const cluster = (...parts: Buffer[]): Buffer => element(CLUSTER, element(TIMESTAMP, u8(0)), ...parts);
const scale = (nanoseconds = 1_000_000): Buffer =>
  element(SCALE, Buffer.from(nanoseconds.toString(16).padStart(8, '0'), 'hex'));
/** As a live recorder writes it: of unknown size. */
const LIVE_CLUSTER = Buffer.concat([open(CLUSTER), element(TIMESTAMP, u8(0))]);
const tracks = element(TRACKS, track(1));

function duration(value: number, bytes: 4 | 8 = 8): Buffer {
  const number = Buffer.alloc(bytes);
  if (bytes === 8) number.writeDoubleBE(value);
  else number.writeFloatBE(value);
  return element(DURATION, number);
}

const file = (...parts: readonly (Buffer | Iterable<Buffer>)[]): Iterable<Buffer> =>
  joined(head, open(SEGMENT), ...parts);
const withInfo = (...info: Buffer[]): Iterable<Buffer> =>
  file(element(INFO, ...info), tracks, cluster(block(), block(40)));
const info = element(INFO, scale());

const DURATIONS = {
  infinite: Number.POSITIVE_INFINITY,
  'minus-infinite': Number.NEGATIVE_INFINITY,
  'not-a-number': Number.NaN,
  negative: -5000,
  largest: Number.MAX_VALUE,
  smallest: Number.MIN_VALUE,
} as const;

const nestedElements = (id: string, depth: number): Buffer => {
  const bytes = Buffer.alloc(depth * 9);
  for (let level = 0; level < depth; level++) {
    bytes.write(id, level * 9, 'hex');
    sizeOf((depth - level - 1) * 9).copy(bytes, level * 9 + 1);
  }
  return bytes;
};

export const MATROSKAS: readonly HostileFile[] = [
  ...Object.entries(DURATIONS).flatMap(([name, value]): HostileFile[] => [
    { filename: `duration-${name}.mkv`, pieces: () => withInfo(scale(), duration(value)) },
    { filename: `duration-${name}-short.mkv`, pieces: () => withInfo(scale(), duration(value, 4)) },
  ]),
  { filename: 'scale-of-nothing.mkv', pieces: () => withInfo(scale(0), duration(80)) },
  { filename: 'scale-largest.mkv', pieces: () => withInfo(element(SCALE, Buffer.alloc(8, 0xff)), duration(80)) },
  {
    filename: 'durations-by-the-hundred-thousand.mkv',
    pieces: () => withInfo(scale(), ...repeated(duration(80), 400_000)),
  },
  { filename: 'voids.mkv', pieces: () => file(info, tracks, repeated(u8(0xec, 0x80), 2_500_000), cluster(block())) },
  {
    filename: 'voids-in-a-cluster.mkv',
    pieces: () => file(info, tracks, LIVE_CLUSTER, repeated(u8(0xec, 0x80), 2_500_000), block()),
  },
  {
    filename: 'one-large-void.mkv',
    pieces: () =>
      file(
        info,
        tracks,
        joined(Buffer.from(VOID, 'hex'), sizeOf(15_000_000), repeated(u8(0), 15_000_000)),
        cluster(block()),
      ),
  },
  { filename: 'many-clusters.mkv', pieces: () => file(info, tracks, repeated(cluster(block()), 300_000)) },
  {
    filename: 'many-empty-clusters.mkv',
    pieces: () =>
      file(info, tracks, repeated(Buffer.concat([Buffer.from(CLUSTER, 'hex'), u8(0x80)]), 800_000), cluster(block())),
  },
  {
    filename: 'clusters-of-unknown-size.mkv',
    pieces: () => file(info, tracks, repeated(Buffer.concat([LIVE_CLUSTER, block()]), 300_000)),
  },
  {
    filename: 'many-blocks.mkv',
    pieces: () => file(info, tracks, LIVE_CLUSTER, repeated(element(SIMPLE_BLOCK, u8(0x81, 0, 0, 0x80, 0)), 1_000_000)),
  },
  {
    filename: 'blocks-of-unknown-tracks.mkv',
    pieces: () =>
      file(
        info,
        tracks,
        cluster(block()),
        LIVE_CLUSTER,
        repeated(element(SIMPLE_BLOCK, u8(0xfe, 0, 0, 0x80, 0)), 1_000_000),
      ),
  },
  {
    filename: 'block-groups.mkv',
    pieces: () =>
      file(info, tracks, LIVE_CLUSTER, repeated(element(BLOCK_GROUP, element(BLOCK, u8(0x81, 0, 0, 0, 0))), 500_000)),
  },
  {
    filename: 'empty-block-groups.mkv',
    pieces: () => file(info, tracks, LIVE_CLUSTER, block(), repeated(element(BLOCK_GROUP), 1_500_000)),
  },
  {
    filename: 'laced-blocks.mkv',
    pieces: () =>
      file(
        info,
        tracks,
        LIVE_CLUSTER,
        repeated(element(SIMPLE_BLOCK, u8(0x81, 0, 0, 0x86, 255), Buffer.alloc(100)), 200_000),
      ),
  },
  {
    filename: 'nested-groups.mkv',
    pieces: () => file(info, tracks, cluster(block()), cluster(nestedElements(BLOCK_GROUP, 200_000))),
  },
  {
    filename: 'nested-tags.mkv',
    pieces: () => file(info, tracks, cluster(block()), element(TAGS, nestedElements('ae', 200_000))),
  },
  {
    filename: 'nested-segments-of-unknown-size.mkv',
    pieces: () => file(repeated(open(SEGMENT), 200_000), info, tracks, cluster(block())),
  },
  {
    filename: 'cues.mkv',
    pieces: () =>
      file(
        info,
        tracks,
        element(
          CUES,
          ...repeated(
            element('bb', element('b3', u8(0)), element('b7', element('f7', u8(1)), element('f1', u8(0)))),
            1_000_000,
          ),
        ),
        cluster(block()),
      ),
  },
  {
    filename: 'cues-within-the-header-limit.mkv',
    pieces: () =>
      file(
        info,
        tracks,
        element(
          CUES,
          ...repeated(
            element('bb', element('b3', u8(0)), element('b7', element('f7', u8(1)), element('f1', u8(0)))),
            450_000,
          ),
        ),
        cluster(block()),
      ),
  },
  {
    filename: 'seek-heads.mkv',
    pieces: () =>
      file(
        repeated(
          element(SEEK_HEAD, element('4dbb', element('53ab', Buffer.from(SEEK_HEAD, 'hex')), element('53ac', u8(0)))),
          200_000,
        ),
        info,
        tracks,
        cluster(block()),
      ),
  },
  {
    filename: 'thousands-of-tracks.mkv',
    pieces: () =>
      file(info, element(TRACKS, ...Array.from({ length: 100_000 }, (_, i) => track((i % 126) + 1))), cluster(block())),
  },
  {
    filename: 'fonts-and-subtitles.mkv',
    pieces: () =>
      file(
        info,
        element(TRACKS, track(1), ...Array.from({ length: 100 }, (_, i) => track(i + 2, 'S_TEXT/ASS'))),
        element(
          ATTACHMENTS,
          ...repeated(
            element(
              '61a7',
              element('466e', Buffer.from('a.ttf')),
              element('4660', Buffer.from('font/ttf')),
              element('465c', Buffer.alloc(1000)),
            ),
            20_000,
          ),
        ),
        cluster(block()),
      ),
  },
  {
    filename: 'chapters.mkv',
    pieces: () =>
      file(
        info,
        tracks,
        element(
          CHAPTERS,
          element('45b9', ...repeated(element('b6', element('73c4', u8(1)), element('91', u8(0))), 500_000)),
        ),
        cluster(block()),
      ),
  },
  {
    filename: 'tags.mkv',
    pieces: () =>
      file(
        info,
        tracks,
        element(
          TAGS,
          ...repeated(
            element('7373', element('67c8', element('45a3', Buffer.from('A')), element('4487', Buffer.from('b')))),
            500_000,
          ),
        ),
        cluster(block()),
      ),
  },
  {
    filename: 'infos.mkv',
    pieces: () => file(repeated(element(INFO, scale(), duration(80)), 300_000), tracks, cluster(block(), block(40))),
  },
  { filename: 'track-lists.mkv', pieces: () => file(info, repeated(tracks, 200_000), cluster(block())) },
  {
    filename: 'document-type-of-megabytes.mkv',
    pieces: () =>
      joined(
        element(EBML, element('4282', Buffer.alloc(5_000_000, 'a'))),
        open(SEGMENT),
        info,
        tracks,
        cluster(block()),
      ),
  },
  {
    filename: 'codec-name-of-megabytes.mkv',
    pieces: () => file(info, element(TRACKS, track(1, `V_${'A'.repeat(10_000_000)}`)), cluster(block())),
  },
];
