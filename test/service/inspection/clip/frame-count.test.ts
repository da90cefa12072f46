import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { inspectWith } from '../../../../src/dataset/inspect/inspect.js';
import { clipDecoder, doubtAboutFrameCount, shortageOf } from '../../../../src/service/inspection/clip/decode-clip.js';
import type { ProbedVideo } from '../../../../src/service/inspection/clip/probe-clip.js';
import { clipPath } from '../../../fixtures/media.js';
import { whyNoFfmpeg } from '../../../harness/available.js';
import { temporaryFolder } from '../../../harness/server.js';

const video = (frames: number, countedFrames: number, listedFrames?: number): ProbedVideo => ({
  facts: { frames },
  countedFrames,
  listedFrames,
  hasDecoder: true,
});

const COUNTS = (frames: number, counted: string) =>
  `has ${frames} frames that can be read, but the trainer counts ${counted} by its header, and would`;
const ADVICE = 'Export it again as an ordinary MP4 file, or convert it to one with ffmpeg, without "-c copy".';

test('a number of other frames than the clip has is a warning, one that is nearly right is not', () => {
  const repeated = `${COUNTS(15, '150')} repeat some of them. ${ADVICE}`;
  expect(doubtAboutFrameCount(video(15, 150))).toBe(repeated);
  expect(doubtAboutFrameCount(video(15, 3))).toBe(`${COUNTS(15, '3')} leave out the last ones. ${ADVICE}`);
  for (const [frames, counted] of [
    [15, 15],
    [15, 16],
    [15, 11],
    [100, 104],
    [1, 1],
  ] as const)
    expect(doubtAboutFrameCount(video(frames, counted))).toBeUndefined();
  expect(doubtAboutFrameCount(video(15, 0))).toMatch(/^has no duration in its header, so the trainer would read its/);
});

test('fewer than a third of the listed frames are too few, unless the file can not hold so many', () => {
  expect(shortageOf(video(9, 30, 30), 10_000)).toMatch(/^has lost frames: only 9 of the 30 frames/);
  expect(shortageOf(video(10, 30, 30), 10_000)).toBeUndefined();
  expect(shortageOf(video(60, 2 ** 30, 2 ** 30), 10_000)).toBeUndefined();
  expect(shortageOf(video(5, 30), 10_000)).toBeUndefined();
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
  let folder: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
  });

  /** The messages about the number of frames of an accepted clip. */
  const doubtsAbout = async (path: string, filename: string): Promise<string[]> => {
    const inspection = await inspectWith({ path, filename }, {});
    if (!inspection.ok) throw new Error(inspection.problem.message);
    const decode = clipDecoder({ path: 'ffmpeg', version: '' }, { runInSlot: (request, work) => work(request.signal) });
    const clip = { path, filename, sizeBytes: (await stat(path)).size, inspection };
    const found = await decode(clip, { accountId: 'a', signal: new AbortController().signal });
    if (!found.ok) throw new Error(found.problem.message);
    return found.warnings.map(({ message }) => message);
  };
  const written = async (name: string, options: string, change = (bytes: Buffer) => bytes): Promise<string[]> => {
    const path = join(folder, `written-${name}`);
    const args = ['-v', 'error', '-nostdin', '-y', ...options.split(' '), '-threads', '1'];
    // AVI is written to a pipe.
    const isPiped = name.endsWith('.avi');
    const bytes = execFileSync('ffmpeg', [...args, ...(isPiped ? ['-f', 'avi', '-'] : [path])]);
    await writeFile(path, change(isPiped ? bytes : readFileSync(path)));
    return doubtsAbout(path, name);
  };

  test.each([
    ['variable.mkv', `${PICTURES} ${H264} ${FEWER_FRAMES}`, 40, '60'],
    ['sound.mkv', `${PICTURES} ${LONGER_SOUND} ${H264} -c:a aac`, 60, '75'],
    ['late.mkv', `${PICTURES} ${H264} -output_ts_offset 1.5`, 60, '83'],
    ['sound.mp4', `${PICTURES} ${LONGER_SOUND} ${REORDERED} -c:a aac ${FRAGMENTS}`, 60, '77'],
    ['piped.avi', `${PICTURES} -c:v mpeg4`, 60, '1,073,741,824'],
  ])('%s: the trainer counts more', async (name, options, frames, counted) => {
    expect(await written(name, options)).toEqual([`${name} ${COUNTS(frames, counted)} repeat some of them. ${ADVICE}`]);
  });

  test('a part of a fragmented clip: the trainer counts from the beginning of the whole', async () => {
    const options = `${PICTURES} ${SOUND} ${REORDERED} -c:a aac ${FRAGMENTS}`;
    const found = await written('part.mp4', options, (bytes) => withoutFragments(bytes, 3));
    expect(found).toEqual([`part.mp4 ${COUNTS(30, '62')} repeat some of them. ${ADVICE}`]);
  });

  test('a clip with tables and fragments: the trainer counts those in the tables', async () => {
    const found = await written('hybrid.mp4', `${PICTURES} ${REORDERED} -movflags +frag_keyframe`);
    expect(found).toEqual([`hybrid.mp4 ${COUNTS(60, '10')} leave out the last ones. ${ADVICE}`]);
  });

  test('a clip of a live recorder has no duration, so that the trainer reads one frame', async () => {
    expect(await doubtsAbout(clipPath('live.webm'), 'live.webm')).toEqual([
      `live.webm has no duration in its header, so the trainer would read its first frame alone. ${ADVICE}`,
    ]);
  });
});
