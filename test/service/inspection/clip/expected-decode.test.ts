import { expect, test } from 'vitest';
import { expectedDecodeSeconds, leastDecodeSeconds } from '../../../../src/service/inspection/clip/expected-decode.js';

const expected = (sizeBytes: number, codec: string, size: { width: number; height: number }, countedFrames: number) =>
  expectedDecodeSeconds(sizeBytes, {
    facts: { codec, ...size },
    listedFrames: undefined,
    countedFrames,
    hasDecoder: true,
  });

const FULL_HD = { width: 1920, height: 1080 };

test('a minute of 1080p takes as long as one core needs for it', () => {
  expect(expected(30_000_000, 'avc', FULL_HD, 1800)).toBeCloseTo(1800 / 150, 0);
  expect(expected(30_000_000, 'hevc', FULL_HD, 1800)).toBeCloseTo(1800 / 100, 0);
  expect(expected(30_000_000, 'av1', FULL_HD, 1800)).toBeCloseTo(1800 / 68, 0);
});

test('a clip of a high bit rate, or without a number of frames, is judged by its bytes', () => {
  const small = { width: 64, height: 64 };
  expect(expected(150_000_000, 'avc', small, 10)).toBeGreaterThan(9);
  expect(expected(150_000, 'avc', small, 10)).toBeLessThan(1);
  expect(expectedDecodeSeconds(30_000_000, undefined)).toBeGreaterThan(15);
  // The number in an AVI that was written to a pipe.
  expect(expected(150_000, 'mpeg4', small, 2 ** 30)).toBeLessThan(1);
  expect(leastDecodeSeconds(150_000_000)).toBeGreaterThan(9);
});
