import { beforeAll, expect, test } from 'vitest';
import * as media from '../../../fixtures/media.js';
import { inspectBytes } from '../../../harness/inspecting.js';

let still: Buffer;
beforeAll(async () => {
  still = (await media.webp({ width: 8, height: 8 })).subarray(12);
});

async function problemOf(bytes: Buffer): Promise<string> {
  const found = await inspectBytes('a.webp', bytes);
  return found.ok ? found.warnings.map(({ code }) => code).join() : found.problem.message;
}

function chunk(type: string, ...payload: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(payload);
  const header = Buffer.from(`${type}\0\0\0\0`, 'latin1');
  header.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([header, bytes, Buffer.alloc(bytes.length & 1)]);
}

function riff(...chunks: readonly Buffer[]): Buffer {
  return chunk('RIFF', Buffer.from('WEBP'), ...chunks);
}

/** The canvas of 8 × 8 pixels. */
const canvas = (flags: number) => chunk('VP8X', Buffer.from([flags, 0, 0, 0, 7, 0, 0, 7, 0, 0]));
const ANIMATION = 0x02;
const control = chunk('ANIM', Buffer.alloc(6));
const frame = () => chunk('ANMF', Buffer.from([0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0, 9, 0, 0, 0]), still);
const animation = (...frames: readonly Buffer[]) => riff(canvas(ANIMATION), control, ...frames);

test('an animation whose first frame is damaged is rejected', async () => {
  const damaged = frame();
  // The last partition of the bitstream begins after the first one, whose length is here set to nearly all bytes.
  const bitstream = 8 + 16 + 8;
  damaged.writeUIntLE((damaged.readUIntLE(bitstream, 3) & 0x1f) | ((still.length - 9) << 5), bitstream, 3);
  expect(await problemOf(animation(damaged, frame()))).toContain('is damaged');
  expect(await problemOf(animation(frame(), frame()))).toBe('ANIMATED_IMAGE');
});

test.each<[string, () => Buffer, boolean]>([
  ['a still image', () => riff(still), true],
  ['an unknown chunk after the pixels', () => riff(still, chunk('abcd', Buffer.alloc(3))), true],
  ['half a chunk at the end', () => riff(still, Buffer.alloc(4)), false],
  ['an extended still image', () => riff(canvas(0), still), true],
  ['unknown flags', () => riff(canvas(0x40), still), false],
  ['two still images', () => riff(canvas(0), still, chunk('abcd'), still), false],
  ['pixels outside the frames', () => riff(canvas(ANIMATION), control, still), false],
  ['no frames', () => riff(canvas(ANIMATION), control), false],
  ['transparency without pixels', () => riff(canvas(0x10), chunk('ALPH', Buffer.alloc(9))), false],
])('libwebp 1.5, as Pillow 11.1 calls it, takes or rejects %s', async (_, make, isAccepted) => {
  const problem = await problemOf(make());
  expect(problem === '', problem).toBe(isAccepted);
});
