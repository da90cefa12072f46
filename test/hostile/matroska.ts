import { concat, u16 } from '../fixtures/bytes.js';
import { configuration, greyVideo, sized } from './h264.js';
import { filesOf, generated, joined, many, repeated } from './hostile-file.js';

/** Identifiers of RFC 9559. */
const EBML = '1a45dfa3';
const SEGMENT = '18538067';
const INFO = '1549a966';
const TRACKS = '1654ae6b';
const CLUSTER = '1f43b675';
const CUES = '1c53bb6b';
const [VOID, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK] = ['ec', 'e7', 'a3', 'a0', 'a1'] as const;
const [SCALE, DURATION, TRACK, NUMBER, UID] = ['2ad7b1', '4489', 'ae', 'd7', '73c5'] as const;
const [TYPE, CODEC, PRIVATE, PICTURE] = ['83', '86', '63a2', 'e0'] as const;

/** A size in eight bytes. */
function sizeOf(bytes: number): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE((1n << 56n) | BigInt(bytes));
  return size;
}

const element = (id: string, ...payload: Buffer[]): Buffer => {
  const bytes = Buffer.concat(payload);
  return concat(Buffer.from(id, 'hex'), bytes.length < 127 ? [0x80 | bytes.length] : sizeOf(bytes.length), bytes);
};
/** An element with a number of one byte, or a text. */
const value = (id: string, content: number | string): Buffer =>
  element(id, typeof content === 'number' ? Buffer.of(content) : Buffer.from(content));
/** An element of unknown size. */
const open = (id: string): Buffer => concat(Buffer.from(id, 'hex'), [0x01], Buffer.alloc(7, 0xff));

const VIDEO = greyVideo({ across: 4, down: 4 });
const HEAD = element(EBML, value('4282', 'matroska'), value('4287', 4), value('4285', 2));
function track(number: number, codec = 'V_MPEG4/ISO/AVC'): Buffer {
  const picture = element(PICTURE, value('b0', 64), value('ba', 64));
  const kind = [value(TYPE, codec.startsWith('V') ? 1 : 0x11), value(CODEC, codec)];
  return element(
    TRACK,
    value(NUMBER, number),
    value(UID, number),
    ...kind,
    element(PRIVATE, configuration(VIDEO)),
    picture,
  );
}

const block = (time = 0): Buffer => element(SIMPLE_BLOCK, concat([0x81], u16(time), [0x80], sized(VIDEO.key)));
const cluster = (...parts: Buffer[]): Buffer => element(CLUSTER, value(TIMESTAMP, 0), ...parts);
const scale = (nanoseconds = 1_000_000): Buffer =>
  element(SCALE, Buffer.from(nanoseconds.toString(16).padStart(8, '0'), 'hex'));
/** As a live recorder writes it: of unknown size. */
const LIVE_CLUSTER = concat(open(CLUSTER), value(TIMESTAMP, 0));
const TRACK_LIST = element(TRACKS, track(1));

function duration(seconds: number): Buffer {
  const number = Buffer.alloc(8);
  number.writeDoubleBE(seconds);
  return element(DURATION, number);
}

type Parts = readonly (Buffer | Iterable<Buffer>)[];
const ONE_BLOCK = cluster(block());
const file = (...parts: Parts): Iterable<Buffer> => joined(HEAD, open(SEGMENT), ...parts);
const withInfo = (...info: Buffer[]): Iterable<Buffer> =>
  file(element(INFO, ...info), TRACK_LIST, cluster(block(), block(40)));
const BEGINNING = concat(element(INFO, scale()), TRACK_LIST);
/** Between the tracks and the frame. */
const between = (...parts: Parts): Iterable<Buffer> => file(BEGINNING, ...parts, ONE_BLOCK);
const live = (...parts: Parts): Iterable<Buffer> => file(BEGINNING, LIVE_CLUSTER, ...parts);
const withTracks = (tracks: Buffer): Iterable<Buffer> =>
  file(element(INFO, scale()), element(TRACKS, tracks), ONE_BLOCK);

const nestedElements = (id: string, depth: number): Buffer =>
  concat(...generated(depth, (level) => concat(Buffer.from(id, 'hex'), sizeOf((depth - level - 1) * 9))));

const CUE = element('bb', value('b3', 0), element('b7', value('f7', 1), value('f1', 0)));
const VOIDS = () => repeated(element(VOID), 2_500_000);

export const MATROSKAS = filesOf({
  'duration-infinite.mkv': () => withInfo(scale(), duration(Number.POSITIVE_INFINITY)),
  'duration-not-a-number.mkv': () => withInfo(scale(), duration(Number.NaN)),
  'voids-in-a-cluster.mkv': () => live(VOIDS(), block()),
  'many-clusters.mkv': () => file(BEGINNING, repeated(ONE_BLOCK, 300_000)),
  'block-groups.mkv': () => live(repeated(element(BLOCK_GROUP, element(BLOCK, Buffer.of(0x81, 0, 0, 0, 0))), 500_000)),
  'nested-groups.mkv': () => file(BEGINNING, ONE_BLOCK, cluster(nestedElements(BLOCK_GROUP, 200_000))),
  'cues.mkv': () => between(element(CUES, many(CUE, 1_000_000))),
  'thousands-of-tracks.mkv': () => withTracks(concat(...generated(100_000, (i) => track((i % 126) + 1)))),
});
