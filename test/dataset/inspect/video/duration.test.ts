import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import * as media from '../../../fixtures/media.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'duration-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The messages about the duration of an accepted clip. */
async function doubtsAbout(bytes: Buffer): Promise<string[]> {
  const path = media.writeMedia(folder, 'a.webm', bytes);
  const found = await inspect({ path, filename: 'a.webm' });
  if (!found.ok) throw new Error(found.problem.message);
  return found.warnings.filter(({ code }) => code === 'WRONG_DURATION').map(({ message }) => message);
}

const FRAME_NANOSECONDS = 66_666_666;

/** A clip of 15 frames in 10 s with these durations in its header (RFC 9559, elements 0x2AD7B1, 0x4489 and 0x23E383). */
function declaring(seconds: number, frameNanoseconds = FRAME_NANOSECONDS * 10): Buffer {
  const bytes = Buffer.from(media.clip('vp8.webm'));
  const scale = bytes.indexOf(Buffer.from('2ad7b1', 'hex'));
  const duration = bytes.indexOf(Buffer.from('448988', 'hex'));
  const frame = bytes.indexOf(Buffer.from('23e383', 'hex'));
  expect(bytes.readUInt32BE(frame + 4)).toBe(FRAME_NANOSECONDS);
  bytes.writeUInt32BE(frameNanoseconds, frame + 4);
  expect(bytes.readUIntBE(scale + 4, 3)).toBe(1_000_000);
  expect(bytes.readDoubleBE(duration + 3)).toBe(1000);
  bytes.writeUIntBE(10_000_000, scale + 4, 3);
  bytes.writeDoubleBE(seconds * 100, duration + 3);
  return bytes;
}

test('a clip of a live recorder has no duration, so that the trainer reads one frame', async () => {
  expect(await doubtsAbout(media.clip('live.webm'))).toEqual([
    'a.webm has no duration in its header, so the trainer would read its first frame alone. ' +
      'Export it again, or copy it with ffmpeg and the options "-c copy -shortest".',
  ]);
});

test('a duration of fewer frames than the clip has is a warning, one that is nearly right is not', async () => {
  expect(await doubtsAbout(declaring(10))).toEqual([]);
  expect(await doubtsAbout(declaring(7))).toEqual([]);
  expect(await doubtsAbout(declaring(2))).toEqual([
    'a.webm has frames for 10.0 s, but its header says 2.0 s, by which the trainer chooses the frames that it reads. ' +
      'Export it again, or copy it with ffmpeg and the options "-c copy -shortest".',
  ]);
  expect(await doubtsAbout(declaring(10, FRAME_NANOSECONDS))).toHaveLength(1);
  expect(await doubtsAbout(declaring(10, 0))).toEqual([]);
});
