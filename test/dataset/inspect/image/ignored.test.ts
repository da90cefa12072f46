import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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

describe('an image of a type that the trainer ignores never fails a dataset', () => {
  test.each(FILES)('%s, cut anywhere after its signature', async (filename, make, signatureBytes) => {
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
  });

  test('with any bits flipped after the signature', async () => {
    const files = await Promise.all(
      FILES.map(async ([filename, make, from]) => ({ filename, bytes: await make(), from })),
    );
    const flips = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), flips, async ({ filename, bytes, from }, places) => {
        const damaged = Buffer.from(bytes);
        for (const place of places) {
          const bit = from * 8 + Math.floor(place * (bytes.length - from) * 8);
          damaged[bit >> 3]! ^= 1 << (bit & 7);
        }
        const found = await inspectBytes(filename, damaged);
        expect(found.ok, codesOf(found)[0]).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test('without a trailer, and in a variant that libvips does not decode', async () => {
    const gif = await media.gif();
    expect(codesOf(await inspectBytes('a.gif', gif.subarray(0, -1)))).toEqual(['NOT_TRAINED_ON']);
    const tiff = await media.tiff();
    const compression = tiff.indexOf(Buffer.from([0x03, 0x01, 0x03, 0x00]));
    tiff.writeUInt16LE(34_925, compression + 8);
    const undecoded = await inspectBytes('a.tif', tiff);
    expect(undecoded).toMatchObject({ facts: { width: 96, height: 96 }, warnings: [{ code: 'NOT_TRAINED_ON' }] });
    const cut = await inspectBytes('a.tif', tiff.subarray(0, 100));
    expect(cut.ok && cut.warnings[1]?.message).toBe(
      "a.tif can't be read by this server, so it may be damaged. The trainer ignores it; replace it if you want to keep it.",
    );
  });

  test('with more pixels than the trainer opens, or the content of another type', async () => {
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

  test('and its inspection takes no longer than its bytes', async () => {
    const entries = Buffer.alloc(2 + 65_535 * 12 + 4);
    entries.writeUInt16LE(65_535, 0);
    for (let at = 2; at + 12 <= entries.length; at += 12) {
      entries.writeUInt16LE(273, at);
      entries.writeUInt16LE(4, at + 2);
      entries.writeUInt32LE(190_000, at + 4);
      entries.writeUInt32LE(8, at + 8);
    }
    const duplicates = Buffer.concat([Buffer.from('II*\0\x08\0\0\0', 'latin1'), entries]);
    expect(codesOf(await inspectBytes('a.tif', duplicates))).toEqual(['NOT_TRAINED_ON', 'MAY_BE_DAMAGED']);
  });
});

describe('an AVIF', () => {
  test('of several frames is accepted', async () => {
    const found = await inspectBytes('a.avif', fixture('sequence.avif'));
    expect(found).toMatchObject({ ok: true, facts: { format: 'avif', width: 48, height: 32 } });
    expect(codesOf(found)).toEqual(['NOT_TRAINED_ON', 'ANIMATED_IMAGE']);
  });

  test('with thousands of extents that take no bytes is read at once', async () => {
    const bytes = await media.avif();
    const iloc = bytes.indexOf('iloc');
    // Neither offsets nor lengths, and 65,535 extents in each of 65,535 items, as far as the box goes.
    bytes.writeUInt16BE(0, iloc + 8);
    bytes.writeUInt16BE(0xffff, iloc + 10);
    expect((await inspectBytes('a.avif', bytes)).ok).toBe(false);
  });
});
