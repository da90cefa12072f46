/*
 * AVI files, and files of other kinds under the name of a clip. A reader that finds out the format by itself may take some of
 * them for a playlist and open what it names.
 */
import { concat, little, riffChunk as chunk, u32 } from '../fixtures/bytes.js';
import { greyVideo } from './h264.js';
import { filesOf, generated, joined, repeated } from './hostile-file.js';

const list = (type: string, ...payload: Buffer[]): Buffer => chunk('LIST', type, ...payload);
const numbers = (...values: number[]): Buffer => concat(...values.map((value) => little(4, value)));

const annexB = (...units: Buffer[]): Buffer => concat(...units.flatMap((unit) => [u32(1), unit]));

const { sequence, picture, key } = greyVideo({ across: 4, down: 4 });
const FRAME = chunk('00dc', annexB(sequence, picture, key));

/** One frame, and so many empty ones. */
function avi(empty: number, tail: Buffer = Buffer.alloc(0)): Iterable<Buffer> {
  const count = empty + 1;
  const head = list(
    'hdrl',
    chunk('avih', numbers(40_000, 0, 0, 0x10, count, 0, 1, 0, 64, 64, 0, 0, 0, 0)),
    list(
      'strl',
      chunk('strh', 'vids', 'H264', numbers(0, 0, 0, 1, 25, 0, count, 0, 0, 0), Buffer.alloc(8)),
      chunk('strf', numbers(40, 64, 64), little(2, 1), little(2, 24), 'H264', Buffer.alloc(20)),
    ),
  );
  const movie = FRAME.length + 8 * empty + 4;
  const size = 4 + head.length + 8 + movie + tail.length;
  const start = concat('RIFF', little(4, size), 'AVI ', head, 'LIST', little(4, movie), 'movi');
  return joined(start, FRAME, repeated(chunk('00dc'), empty), tail);
}

const nestedLists = (depth: number): Buffer =>
  concat(...generated(depth, (level) => concat('LIST', little(4, (depth - level) * 12 - 8), 'movi')));

const SECRET = 'file:///etc/passwd';
const SESSION = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=a', 'c=IN IP4 127.0.0.1', 'm=video 5004 RTP/AVP 96'];
const text = (...lines: string[]) => Buffer.from(`${lines.join('\n')}\n`);

export const LEGACY_CLIPS = filesOf({
  'nested-lists.avi': () => avi(0, nestedLists(200_000)),
  'many-empty-frames.avi': () => avi(300_000),
  'playlist.mp4': () => [text('#EXTM3U', '#EXT-X-TARGETDURATION:1', '#EXTINF:1,', SECRET, '#EXT-X-ENDLIST')],
  'list-of-files.mkv': () => [text('ffconcat version 1.0', `file '${SECRET}'`)],
  'session-description.mov': () => [text(...SESSION, 'a=rtpmap:96 H264/90000')],
});
