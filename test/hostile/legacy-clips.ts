/*
 * AVI, Windows Media and Flash files, and files of other kinds under the name of a clip. A reader that finds out the format by
 * itself may take some of them for a playlist and open what it names.
 */
import { greyVideo, type GreyVideo } from './h264.js';
import { generated, type HostileFile, joined, repeated, u32, u8 } from './hostile-file.js';

function little(bytes: number, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntLE(value, 0, bytes);
  return buffer;
}

const chunk = (type: string, ...payload: Buffer[]): Buffer => {
  const bytes = Buffer.concat(payload);
  return Buffer.concat([Buffer.from(type, 'latin1'), little(4, bytes.length), bytes, Buffer.alloc(bytes.length & 1)]);
};
const list = (type: string, ...payload: Buffer[]): Buffer => chunk('LIST', Buffer.from(type), ...payload);

const START_CODE = u32(1);
const annexB = (...units: Buffer[]): Buffer => Buffer.concat(units.flatMap((unit) => [START_CODE, unit]));
const SMALL = greyVideo({ across: 4, down: 4 });
const keyOf = ({ sequence, picture, key }: GreyVideo): Buffer => annexB(sequence, picture, key);

function stream(side: { width: number; height: number }, frames: number, codec = 'H264'): Buffer {
  const numbers = [0, 0, 0, 1, 25, 0, frames, 0, 0, 0].map((value) => little(4, value));
  const bitmap = [little(4, 40), little(4, side.width), little(4, side.height), little(2, 1), little(2, 24)];
  const head = chunk('strh', Buffer.from('vids'), Buffer.from(codec), ...numbers, Buffer.alloc(8));
  return list('strl', head, chunk('strf', ...bitmap, Buffer.from(codec), Buffer.alloc(20)));
}

const main = (streams: number, frames: number): Buffer =>
  chunk('avih', ...[40_000, 0, 0, 0x10, frames, 0, streams, 0, 64, 64, 0, 0, 0, 0].map((value) => little(4, value)));

function* avi(
  streams: readonly Buffer[],
  frames: { count: number; bytes: number; pieces: Iterable<Buffer> },
  after: readonly Buffer[] = [],
): Generator<Buffer> {
  const head = list('hdrl', main(streams.length, frames.count), ...streams);
  const tail = Buffer.concat(after);
  const movie = frames.bytes + 4;
  yield Buffer.concat([
    Buffer.from('RIFF'),
    little(4, 4 + head.length + 8 + movie + tail.length),
    Buffer.from('AVI '),
    head,
  ]);
  yield Buffer.concat([Buffer.from('LIST'), little(4, movie), Buffer.from('movi')]);
  yield* joined(frames.pieces, tail);
}

const SIDES = { width: 64, height: 64 };
const FRAME = chunk('00dc', keyOf(SMALL));
const oneFrame = { count: 1, bytes: FRAME.length, pieces: [FRAME] };

function copies(across: number, down: number, count: number): Iterable<Buffer> {
  const video = greyVideo({ across, down });
  const frames = [
    ...generated(count, (index) => chunk('00dc', index === 0 ? keyOf(video) : annexB(video.copy(index)))),
  ];
  const bytes = frames.reduce((sum, each) => sum + each.length, 0);
  return avi([stream({ width: across * 16, height: down * 16 }, count)], { count, bytes, pieces: frames });
}

function nestedLists(depth: number): Buffer {
  const bytes = Buffer.alloc(depth * 12);
  for (let level = 0; level < depth; level++) {
    bytes.write('LIST', level * 12);
    bytes.writeUInt32LE((depth - level) * 12 - 8, level * 12 + 4);
    bytes.write('movi', level * 12 + 8);
  }
  return bytes;
}

const indexEntry = Buffer.concat([
  Buffer.from('00dc'),
  ...[0x10, 4, FRAME.length - 8].map((value) => little(4, value)),
]);

function tag(type: number, ...payload: Buffer[]): Buffer {
  const bytes = Buffer.concat(payload);
  return Buffer.concat([u8(type), u32(bytes.length).subarray(1), Buffer.alloc(7), bytes, u32(bytes.length + 11)]);
}
const FLV = Buffer.concat([Buffer.from('FLV\x01\x01', 'latin1'), u32(9), u32(0)]);
const scriptHead = Buffer.concat([u8(2, 0, 10), Buffer.from('onMetaData')]);
/** Objects that each have one member, an object. */
const nestedObjects = (depth: number): Buffer => Buffer.concat([...repeated(u8(3, 0, 1, 0x61), depth)]);

const ASF_HEADER = Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex');
const asfObject = (bytes: number): Buffer => Buffer.concat([Buffer.alloc(16, 0x11), little(6, bytes), Buffer.alloc(2)]);
const asf = (objects: Iterable<Buffer>, count: number): Iterable<Buffer> =>
  joined(
    ASF_HEADER,
    little(6, 30 + count * 24),
    Buffer.alloc(2),
    little(4, Math.min(count, 0xffff_ffff)),
    u8(1, 2),
    objects,
  );

const SECRET = 'file:///etc/passwd';

export const LEGACY_CLIPS: readonly HostileFile[] = [
  { filename: 'copies-8k.avi', pieces: () => copies(480, 270, 3000), isExtra: true },
  { filename: 'copies-of-one-block.avi', pieces: () => copies(1, 1, 100_000) },
  {
    filename: 'many-index-entries.avi',
    pieces: () => avi([stream(SIDES, 1)], oneFrame, [chunk('idx1', ...repeated(indexEntry, 300_000))]),
  },
  { filename: 'nested-lists.avi', pieces: () => avi([stream(SIDES, 1)], oneFrame, [nestedLists(200_000)]) },
  {
    filename: 'many-empty-frames.avi',
    pieces: () =>
      avi([stream(SIDES, 300_000)], {
        count: 300_000,
        bytes: 2_400_000 + FRAME.length,
        pieces: joined(FRAME, repeated(chunk('00dc'), 300_000)),
      }),
  },
  { filename: 'thousands-of-streams.avi', pieces: () => avi([...generated(5000, () => stream(SIDES, 1))], oneFrame) },
  {
    filename: 'raw-largest.avi',
    pieces: () => avi([stream({ width: 60_000, height: 60_000 }, 1, '\0\0\0\0')], oneFrame),
  },
  { filename: 'many-empty-tags.flv', pieces: () => joined(FLV, repeated(tag(9, u8(0x17, 2, 0, 0, 0)), 200_000)) },
  {
    filename: 'nested-metadata.flv',
    pieces: () => joined(FLV, tag(18, scriptHead, nestedObjects(500_000)), tag(9, u8(0x17, 2, 0, 0, 0))),
  },
  {
    filename: 'metadata-of-billions.flv',
    pieces: () => joined(FLV, tag(18, scriptHead, u8(10), u32(0xffff_ffff), ...repeated(u8(5), 1_000_000))),
  },
  { filename: 'many-objects.wmv', pieces: () => asf(repeated(asfObject(24), 500_000), 500_000) },
  { filename: 'objects-of-no-bytes.wmv', pieces: () => asf(repeated(asfObject(0), 1000), 1000) },
  {
    filename: 'playlist.mp4',
    pieces: () => [Buffer.from(`#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${SECRET}\n#EXT-X-ENDLIST\n`)],
  },
  { filename: 'list-of-files.mkv', pieces: () => [Buffer.from(`ffconcat version 1.0\nfile '${SECRET}'\n`)] },
  {
    filename: 'session-description.mov',
    pieces: () => [
      Buffer.from(
        'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
      ),
    ],
  },
  { filename: 'playlist-after-a-header.flv', pieces: () => [FLV, Buffer.from(`\n#EXTM3U\n#EXTINF:1,\n${SECRET}\n`)] },
];
