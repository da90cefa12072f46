import { expect, test } from 'vitest';
import { doubtAboutFrameCount, shortageOf } from '../../../../src/service/inspection/clip/decode-clip.js';
import type { ProbedVideo } from '../../../../src/service/inspection/clip/probe-clip.js';

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
