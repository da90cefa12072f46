import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import * as media from '../../../fixtures/media.js';
import { whyNoFfmpeg } from '../../../harness/available.js';
import { temporaryFolder } from '../../../harness/server.js';

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

/** The messages about the duration of an accepted clip. */
async function doubtsAbout(bytes: Buffer, filename = 'a.webm'): Promise<string[]> {
  const path = media.writeMedia(folder, filename, bytes);
  const found = await inspect({ path, filename });
  if (!found.ok) throw new Error(found.problem.message);
  return found.warnings.filter(({ code }) => code === 'WRONG_DURATION').map(({ message }) => message);
}

const ADVICE = 'Export it again as an ordinary MP4 file, or convert it to one with ffmpeg.';
const repeats = (name: string, frames: number, counted: string) =>
  `${name} has ${frames} frames, but the trainer counts ${counted} by its header, and would repeat some of them. ${ADVICE}`;
const leavesOut = (name: string, frames: number, counted: string) =>
  `${name} has ${frames} frames, but the trainer counts ${counted} by its header, and would leave out the last ones. ${ADVICE}`;

const FRAME_NANOSECONDS = 66_666_666;

/** A clip of 15 frames in 10 s with these durations in its header (RFC 9559, elements 0x2AD7B1, 0x4489 and 0x23E383). */
function declaring(seconds: number, { frameNanoseconds = FRAME_NANOSECONDS * 10, startSeconds = 0 } = {}): Buffer {
  const bytes = Buffer.from(media.clip('vp8.webm'));
  const scale = bytes.indexOf(Buffer.from('2ad7b1', 'hex'));
  const duration = bytes.indexOf(Buffer.from('448988', 'hex'));
  const frame = bytes.indexOf(Buffer.from('23e383', 'hex'));
  const cluster = bytes.indexOf(Buffer.from('1f43b675', 'hex'));
  const start = bytes.indexOf(Buffer.from('e78100', 'hex'), cluster);
  expect(bytes.readUInt32BE(frame + 4)).toBe(FRAME_NANOSECONDS);
  bytes.writeUInt32BE(frameNanoseconds, frame + 4);
  expect(bytes.readUIntBE(scale + 4, 3)).toBe(1_000_000);
  expect(bytes.readDoubleBE(duration + 3)).toBe(1000);
  bytes.writeUIntBE(10_000_000, scale + 4, 3);
  bytes.writeDoubleBE(seconds * 100, duration + 3);
  expect(start - cluster).toBeLessThan(20);
  bytes[start + 2] = startSeconds * 100;
  return bytes;
}

test('a clip of a live recorder has no duration, so that the trainer reads one frame', async () => {
  expect(await doubtsAbout(media.clip('live.webm'))).toEqual([
    `a.webm has no duration in its header, so the trainer would read its first frame alone. ${ADVICE}`,
  ]);
});

test('a duration of other frames than the clip has is a warning, one that is nearly right is not', async () => {
  expect(await doubtsAbout(declaring(10))).toEqual([]);
  expect(await doubtsAbout(declaring(7))).toEqual([]);
  expect(await doubtsAbout(declaring(2))).toEqual([leavesOut('a.webm', 15, '3')]);
  expect(await doubtsAbout(declaring(10.6))).toEqual([]);
  const long = declaring(10, { frameNanoseconds: FRAME_NANOSECONDS });
  expect(await doubtsAbout(long)).toEqual([repeats('a.webm', 15, '150')]);
  expect(await doubtsAbout(declaring(10, { frameNanoseconds: 0 }))).toEqual([]);
});

test('a clip whose first frame is late has a duration of more frames', async () => {
  expect(await doubtsAbout(declaring(12, { startSeconds: 2 }))).toEqual([repeats('a.webm', 15, '18')]);
  expect(await doubtsAbout(declaring(12, { startSeconds: 2, frameNanoseconds: 0 }))).toHaveLength(1);
  expect(await doubtsAbout(declaring(10.5, { startSeconds: 0.5 }))).toEqual([]);
});

/** Leaves out the first fragments, as of a live stream that was recorded from its middle. */
function withoutFragments(bytes: Buffer, fragments: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, found = 0; at < bytes.length; at += bytes.readUInt32BE(at)) {
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (type === 'moof') found++;
    const isLeftOut = type === 'moof' || type === 'mdat' ? found <= fragments : type === 'mfra';
    if (!isLeftOut) parts.push(bytes.subarray(at, at + bytes.readUInt32BE(at)));
  }
  return Buffer.concat(parts);
}

const PICTURES = '-f lavfi -i testsrc=size=96x64:rate=15:duration=4';
const SOUND = '-f lavfi -i sine=duration=4';
const LONGER_SOUND = '-f lavfi -i sine=duration=5';
const H264 = '-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10';
const REORDERED = `${H264} -bf 2`;
const FRAGMENTS = '-movflags +frag_keyframe+empty_moov+default_base_moof';
const FEWER_FRAMES = '-vf select=not(mod(n\\,3))+gt(n\\,30) -fps_mode vfr';

// The numbers are those of OpenCV 4.10 (CAP_PROP_FRAME_COUNT).
describe.skipIf(whyNoFfmpeg() !== undefined)('the number of frames of a clip that ffmpeg writes', () => {
  const written = (name: string, options: string, change = (bytes: Buffer) => bytes): Promise<string[]> => {
    const path = join(folder, `written-${name}`);
    const args = ['-v', 'error', '-nostdin', '-y', ...options.split(' '), ...['-threads', '1']];
    if (extname(name) !== '.avi') execFileSync('ffmpeg', [...args, path]);
    return doubtsAbout(
      change(extname(name) === '.avi' ? execFileSync('ffmpeg', [...args, '-f', 'avi', '-']) : readFileSync(path)),
      name,
    );
  };

  test.each([
    ['variable.mkv', `${PICTURES} ${H264} ${FEWER_FRAMES}`, 40, '60'],
    ['sound.mkv', `${PICTURES} ${LONGER_SOUND} ${H264} -c:a aac`, 60, '75'],
    ['late.mkv', `${PICTURES} ${H264} -output_ts_offset 1.5`, 60, '83'],
    ['sound.mp4', `${PICTURES} ${LONGER_SOUND} ${REORDERED} -c:a aac ${FRAGMENTS}`, 60, '77'],
    ['piped.avi', `${PICTURES} -c:v mpeg4`, 60, '1,073,741,824'],
  ])('%s: the trainer counts more', async (name, options, frames, counted) => {
    expect(await written(name, options)).toEqual([repeats(name, frames, counted)]);
  });

  test('a part of a fragmented clip: the trainer counts from the beginning of the whole', async () => {
    const options = `${PICTURES} ${SOUND} ${REORDERED} -c:a aac ${FRAGMENTS}`;
    const found = await written('part.mp4', options, (bytes) => withoutFragments(bytes, 3));
    expect(found).toEqual([repeats('part.mp4', 30, '62')]);
  });

  test('a clip with tables and fragments: the trainer counts those in the tables', async () => {
    const found = await written('hybrid.mp4', `${PICTURES} ${REORDERED} -movflags +frag_keyframe`);
    expect(found).toEqual([leavesOut('hybrid.mp4', 60, '10')]);
  });

  test.each([
    ['variable.mp4', `${PICTURES} ${H264} ${FEWER_FRAMES}`],
    ['sound.mp4', `${PICTURES} ${LONGER_SOUND} ${REORDERED} -c:a aac`],
    ['late.mp4', `${PICTURES} ${H264} -output_ts_offset 1.5`],
    ['fragments.mp4', `${PICTURES} ${SOUND} ${REORDERED} -c:a aac ${FRAGMENTS}`],
    ['edited.mp4', `${PICTURES} ${SOUND} ${REORDERED} -c:a aac -movflags +delay_moov+frag_keyframe`],
    ['indexed.mp4', `${PICTURES} ${REORDERED} -movflags +dash`],
    ['sound.mkv', `${PICTURES} ${SOUND} ${REORDERED} -c:a aac`],
  ])('%s: the trainer counts what there is', async (name, options) => {
    expect(await written(name, options)).toEqual([]);
  });
});

/** An AVI of a stream of sound and one of video, with these frames, and this number of them in its header. */
function avi(frames: readonly string[], declared: number, { isPadded = true } = {}): Buffer {
  const chunk = (id: string, ...parts: readonly (string | Buffer)[]): Buffer => {
    const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
    const header = Buffer.alloc(8, id);
    header.writeUInt32LE(content.length, 4);
    return Buffer.concat([header, content, Buffer.alloc(isPadded ? content.length % 2 : 0)]);
  };
  const stream = (type: string, length: number) => {
    const header = Buffer.alloc(56);
    header.write(type);
    header.writeUInt32LE(length, 32);
    return chunk('LIST', 'strl', chunk('strh', header));
  };
  const groups = frames.map((frame) => chunk('LIST', 'rec ', chunk('00wb', 'sound'), chunk('01dc', frame)));
  const [first, ...others] = [groups.slice(0, 3), groups.slice(3)].map((part) => chunk('LIST', 'movi', ...part));
  const headers = chunk('LIST', 'hdrl', stream('auds', 7), stream('vids', declared));
  return Buffer.concat([chunk('RIFF', 'AVI ', headers, first!), chunk('RIFF', 'AVIX', ...others)]);
}

test('an FLV that ends between two tags has a duration of more frames', async () => {
  const bytes = media.clip('flash.flv');
  expect(await doubtsAbout(bytes, 'a.flv')).toEqual([]);
  const ends: number[] = [];
  for (let at = 13; at < bytes.length; at = ends.at(-1)!) ends.push(at + 15 + bytes.readUIntBE(at + 1, 3));
  // The first tag has the metadata.
  expect(await doubtsAbout(bytes.subarray(0, ends[10]), 'a.flv')).toEqual([repeats('a.flv', 10, '15')]);
});

test('the frames of an AVI are counted in all its lists, without empty ones', async () => {
  const frames = ['one', 'two', '', 'four', 'five', 'six'];
  expect(await doubtsAbout(avi(frames, 5), 'a.avi')).toEqual([]);
  expect(await doubtsAbout(avi(frames, 6), 'a.avi')).toEqual([]);
  expect(await doubtsAbout(avi(frames, 6, { isPadded: false }), 'a.avi')).toEqual([]);
  expect(await doubtsAbout(avi(frames, 7), 'a.avi')).toEqual([repeats('a.avi', 5, '7')]);
  expect(await doubtsAbout(avi(frames, 1), 'a.avi')).toEqual([leavesOut('a.avi', 5, '1')]);
  expect(await doubtsAbout(avi(frames, 0), 'a.avi')).toHaveLength(1);
  // As FFmpeg does, after damage, and with sizes of lists that are wrong.
  const damaged = avi(frames, 6);
  damaged.fill(0, damaged.indexOf('two') - 8, damaged.indexOf('two'));
  damaged.writeUInt32LE(3, damaged.indexOf('hdrl') - 4);
  damaged.writeUInt32LE(2 ** 31, damaged.lastIndexOf('01dc') + 4);
  expect(await doubtsAbout(damaged, 'a.avi')).toEqual([repeats('a.avi', 3, '6')]);
  await expect(doubtsAbout(avi([''], 5), 'a.avi')).rejects.toThrow('a.avi is damaged: it has no frames of video');
});
