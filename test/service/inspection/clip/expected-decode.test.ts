import { expect, test } from 'vitest';
import type { Facts } from '../../../../src/dataset/inspect/inspection.js';
import { expectedDecodeSeconds } from '../../../../src/service/inspection/clip/expected-decode.js';

const expected = (sizeBytes: number, facts: Partial<Facts & { kind: 'video' }>) =>
  expectedDecodeSeconds({ sizeBytes, inspection: { facts: { kind: 'video', format: 'mp4', ...facts } } });

test('a minute of 1080p takes as long as one core needs for it', () => {
  const minute = { frames: 1800, width: 1920, height: 1080 };
  expect(expected(30_000_000, { ...minute, codec: 'avc' })).toBeCloseTo(1800 / 150, 0);
  expect(expected(30_000_000, { ...minute, codec: 'hevc' })).toBeCloseTo(1800 / 100, 0);
  expect(expected(30_000_000, { ...minute, codec: 'av1' })).toBeCloseTo(1800 / 68, 0);
  // The containers' own names.
  expect(expected(30_000_000, { ...minute, codec: 'V_MPEGH/ISO/HEVC' })).toBeCloseTo(1800 / 100, 0);
});

test('a clip of a high bit rate, or without facts, is judged by its bytes', () => {
  const small = { frames: 10, width: 64, height: 64, codec: 'avc' };
  expect(expected(150_000_000, small)).toBeGreaterThan(9);
  expect(expected(150_000, small)).toBeLessThan(1);
  expect(expected(30_000_000, { format: 'avi' })).toBeGreaterThan(15);
});

test('what is no clip takes no time', () => {
  const facts = { kind: 'image', format: 'png', width: 1, height: 1 } as const;
  expect(expectedDecodeSeconds({ sizeBytes: 1e9, inspection: { facts } })).toBe(0);
});
