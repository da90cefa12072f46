import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Inspection } from '../../../../src/dataset/inspect/inspection.js';
import * as media from '../../../fixtures/media.js';
import { inspectBytes } from '../../../harness/inspecting.js';

const fixture = (name: string) => readFileSync(new URL(`../../../fixtures/images/${name}`, import.meta.url));
const codesOf = (found: Inspection): string[] =>
  found.ok ? found.warnings.map(({ code }) => code) : [`${found.problem.code}: ${found.problem.message}`];

/** An intact file of each type that the trainer ignores, and how many bytes its signature takes. */
const FILES: readonly [filename: string, make: () => Promise<Buffer>, signatureBytes: number][] = [
  ['still.gif', () => media.gif(), 6],
  ['animated.gif', () => media.animated('gif'), 6],
  ['plain.bmp', async () => media.bmp(), 26],
  ['runs.bmp', async () => media.bmp({ runs: true }), 26],
  ['strips.tif', () => media.tiff(), 4],
  ['still.heic', async () => fixture('still.heic'), 24],
];

test.each(FILES)(
  'an image of a type that the trainer ignores never fails a dataset: %s, cut anywhere after its signature',
  async (filename, make, signatureBytes) => {
    const bytes = await make();
    const warned: number[] = [];
    const lengths = Array.from(
      { length: 30 },
      (_, step) => signatureBytes + Math.floor(((bytes.length - signatureBytes) * step) / 30),
    );
    for (const length of lengths) {
      const found = await inspectBytes(filename, bytes.subarray(0, length));
      expect(found.ok, `${length}: ${codesOf(found)}`).toBe(true);
      if (codesOf(found).includes('MAY_BE_DAMAGED')) warned.push(length);
    }
    // Its pixels are not read.
    expect(warned).toContain(signatureBytes);
    expect(codesOf(await inspectBytes(filename, bytes.subarray(0, 3)))[0]).toMatch(/^NOT_AN_IMAGE/);
    expect(codesOf(await inspectBytes(filename, Buffer.alloc(0)))[0]).toMatch(/^FILE_EMPTY/);
  },
);

test('an ignored image with more pixels than the trainer opens, or the content of another type, is accepted', async () => {
  const gif = await media.gif();
  gif.writeUInt32LE(0xffff_ffff, 6);
  expect(codesOf(await inspectBytes('a.gif', gif))).toEqual(['NOT_TRAINED_ON']);
  const jpeg = await media.jpeg();
  expect(codesOf(await inspectBytes('a.gif', jpeg))).toEqual(['NOT_TRAINED_ON', 'CONTENT_DIFFERS']);
  const damaged = await inspectBytes('a.gif', jpeg.subarray(0, -9));
  expect(codesOf(damaged)).toEqual(['NOT_TRAINED_ON', 'CONTENT_DIFFERS', 'MAY_BE_DAMAGED']);
  expect(damaged).toMatchObject({ facts: { kind: 'image', format: 'jpeg' } });
  expect(damaged.ok && damaged.warnings[2]?.message).toBe(
    'a.gif is truncated: the end of the image is missing. The trainer ignores it; replace it if you want to keep it.',
  );
});

test('an AVIF of several frames is accepted', async () => {
  const found = await inspectBytes('a.avif', fixture('sequence.avif'));
  expect(found).toMatchObject({ ok: true, facts: { format: 'avif', width: 48, height: 32 } });
  expect(codesOf(found)).toEqual(['NOT_TRAINED_ON', 'ANIMATED_IMAGE']);
});
