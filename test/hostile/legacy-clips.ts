/*
 * AVI, Windows Media and Flash files, and files of other kinds under the name of a clip. A reader that finds out the format by
 * itself may take some of them for a playlist and open what it names.
 */
import { big, concat, little, riffChunk as chunk, u32 } from '../fixtures/bytes.js';
import { greyVideo, type GreyVideo } from './h264.js';
import { filesOf, generated, joined, many, repeated } from './hostile-file.js';

const list = (type: string, ...payload: Buffer[]): Buffer => chunk('LIST', type, ...payload);
const numbers = (...values: number[]): Buffer => concat(...values.map((value) => little(4, value)));

const annexB = (...units: Buffer[]): Buffer => concat(...units.flatMap((unit) => [u32(1), unit]));
const keyOf = ({ sequence, picture, key }: GreyVideo): Buffer => annexB(sequence, picture, key);

function stream(width: number, height: number, frames: number, codec = 'H264'): Buffer {
  const head = chunk('strh', 'vids', codec, numbers(0, 0, 0, 1, 25, 0, frames, 0, 0, 0), Buffer.alloc(8));
  const bitmap = concat(numbers(40, width, height), little(2, 1), little(2, 24));
  return list('strl', head, chunk('strf', bitmap, codec, Buffer.alloc(20)));
}

interface Frames {
  readonly count: number;
  readonly bytes: number;
  readonly pieces: Iterable<Buffer>;
}

function avi(streams: readonly Buffer[], frames: Frames, tail: Buffer = Buffer.alloc(0)): Iterable<Buffer> {
  const main = chunk('avih', numbers(40_000, 0, 0, 0x10, frames.count, 0, streams.length, 0, 64, 64, 0, 0, 0, 0));
  const head = list('hdrl', main, ...streams);
  const movie = frames.bytes + 4;
  const size = 4 + head.length + 8 + movie + tail.length;
  const start = concat('RIFF', little(4, size), 'AVI ', head, 'LIST', little(4, movie), 'movi');
  return joined(start, frames.pieces, tail);
}

const FRAME = chunk('00dc', keyOf(greyVideo({ across: 4, down: 4 })));
const ONE_FRAME = { count: 1, bytes: FRAME.length, pieces: [FRAME] };
const oneFrame = (tail: Buffer) => avi([stream(64, 64, 1)], ONE_FRAME, tail);

function manyEmptyFrames(count: number): Iterable<Buffer> {
  const pieces = joined(FRAME, repeated(chunk('00dc'), count));
  return avi([stream(64, 64, count)], { count, bytes: 8 * count + FRAME.length, pieces });
}

const nestedLists = (depth: number): Buffer =>
  concat(...generated(depth, (level) => concat('LIST', little(4, (depth - level) * 12 - 8), 'movi')));

function tag(type: number, ...payload: Buffer[]): Buffer {
  const bytes = Buffer.concat(payload);
  return concat([type], big(3, bytes.length), Buffer.alloc(7), bytes, u32(bytes.length + 11));
}
const FLV = concat('FLV\x01\x01', u32(9, 0));
const FLV_FRAME = tag(9, Buffer.of(0x17, 2, 0, 0, 0));
const SCRIPT_HEAD = concat([2, 0, 10], 'onMetaData');

const ASF_HEADER = Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex');
function asf(objectBytes: number, count: number): Iterable<Buffer> {
  const object = concat(Buffer.alloc(16, 0x11), little(6, objectBytes), [0, 0]);
  const head = concat(ASF_HEADER, little(6, 30 + count * 24), [0, 0], little(4, count), [1, 2]);
  return joined(head, repeated(object, count));
}

const SECRET = 'file:///etc/passwd';
const SESSION = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=a', 'c=IN IP4 127.0.0.1', 'm=video 5004 RTP/AVP 96'];
const text = (...lines: string[]) => Buffer.from(`${lines.join('\n')}\n`);

export const LEGACY_CLIPS = filesOf({
  'nested-lists.avi': () => oneFrame(nestedLists(200_000)),
  'many-empty-frames.avi': () => manyEmptyFrames(300_000),
  'thousands-of-streams.avi': () => avi(Array(5000).fill(stream(64, 64, 1)), ONE_FRAME),
  'many-empty-tags.flv': () => joined(FLV, repeated(FLV_FRAME, 200_000)),
  // Objects that each have one member, an object.
  'nested-metadata.flv': () => joined(FLV, tag(18, SCRIPT_HEAD, many(Buffer.of(3, 0, 1, 0x61), 500_000)), FLV_FRAME),
  'many-objects.wmv': () => asf(24, 500_000),
  'playlist.mp4': () => [text('#EXTM3U', '#EXT-X-TARGETDURATION:1', '#EXTINF:1,', SECRET, '#EXT-X-ENDLIST')],
  'list-of-files.mkv': () => [text('ffconcat version 1.0', `file '${SECRET}'`)],
  'session-description.mov': () => [text(...SESSION, 'a=rtpmap:96 H264/90000')],
  'playlist-after-a-header.flv': () => [FLV, text('', '#EXTM3U', '#EXTINF:1,', SECRET)],
});
