import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { inspectBytes } from '../../harness/inspecting.js';

/** The lengths to cut a file to: each one within the first and last 20 bytes, and some 15 between. */
function cutsOf(length: number): number[] {
  const step = Math.max(1, Math.floor(length / 15));
  return Array.from({ length }, (_, at) => at).filter((at) => at < 20 || at >= length - 20 || at % step === 0);
}

/** The lengths at which a truncated file passes. */
async function undetectedCuts(filename: string, bytes: Buffer): Promise<number[]> {
  const lengths: number[] = [];
  for (const length of cutsOf(bytes.length)) {
    if ((await inspectBytes(filename, media.damaged.cut(bytes, length))).ok) lengths.push(length);
  }
  return lengths;
}

describe('a file that is truncated anywhere is rejected', () => {
  const images = {
    'baseline.jpg': () => media.jpeg(),
    'large enough to be scaled down by eight.jpg': () => media.jpeg({ width: 640, height: 520 }),
    'progressive.jpg': () => media.jpeg({ progressive: true }),
    'rotated.jpg': () => media.jpeg({ orientation: 6 }),
    'plain.png': () => media.png(),
    'interlaced.png': () => media.png({ progressive: true, alpha: true }),
    'lossy.webp': () => media.webp({ width: 400 }),
    'lossless.webp': () => media.webp({ lossless: true }),
    'alpha.webp': () => media.webp({ alpha: true }),
    'animated.webp': () => media.animated('webp'),
    'plain.avif': () => media.avif(),
  };
  test.each(Object.entries(images))('%s', async (filename, make) => {
    const bytes = await make();
    expect((await inspectBytes(filename, bytes)).ok).toBe(true);
    // The checksum of the last chunk of a PNG protects no content. Real PNGs lack a part of it, and decoders do not miss it.
    const harmless = filename.endsWith('.png') ? [4, 3, 2, 1].map((missing) => bytes.length - missing) : [];
    expect(await undetectedCuts(filename, bytes)).toEqual(harmless);
  });
});

test('a flipped bit never makes inspect throw, in any format', async () => {
  const files: [string, Buffer][] = [
    ['a.jpg', await media.jpeg({ orientation: 3 })],
    ['a.webp', await media.webp({ alpha: true })],
    ['a.gif', await media.animated('gif')],
    ['a.tif', await media.tiff()],
    ['a.avif', await media.avif()],
    ['a.bmp', media.bmp({ runs: true })],
    ...media.CLIPS.map((name): [string, Buffer] => [name, media.clip(name)]),
  ];
  const fileAndFlips = fc.tuple(
    fc.constantFrom(...files),
    fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 4, minLength: 1 }),
  );
  await fc.assert(
    fc.asyncProperty(fileAndFlips, async ([[filename, bytes], positions]) => {
      // Every other flip is within the first tenth of the file, where the structure is.
      const flips = positions.map((part, index) => Math.floor(part * bytes.length * (index % 2 === 0 ? 0.1 : 1)));
      const found = await inspectBytes(filename, flips.reduce(media.damaged.flipped, bytes));
      if (!found.ok) expect(found.problem.message.length).toBeLessThan(250);
    }),
    { numRuns: 150 },
  );
});

describe('of an image that is too large to be decoded, truncation is detected', () => {
  const flat = (width: number, height: number) => sharp({ create: { width, height, channels: 3, background: '#963' } });
  const makers = {
    'progressive.jpg': () => flat(5300, 5300).jpeg({ progressive: true }).toBuffer(),
    'interlaced.png': () => flat(5200, 5200).png({ progressive: true, compressionLevel: 1 }).toBuffer(),
    'lossless.webp': () => flat(4400, 4400).webp({ lossless: true, effort: 0 }).toBuffer(),
    'declared.avif': () => media.declaredAvif(2000),
  };
  test.each(Object.entries(makers))('%s', async (filename, make) => {
    const bytes = await make();
    const found = await inspectBytes(filename, bytes);
    const hasWarning = found.ok && found.warnings.some(({ code }) => code === 'NOT_FULLY_CHECKED');
    expect(found.ok).toBe(true);
    expect(hasWarning).toBe(filename !== 'progressive.jpg');
    for (const missing of [1, 2, 3, 5, 9, 13, 40, 300]) {
      const cut = await inspectBytes(filename, media.damaged.cut(bytes, bytes.length - missing));
      // The checksum of the last chunk of a PNG protects no content.
      expect(cut.ok, `${missing}`).toBe(filename.endsWith('.png') && missing <= 4);
    }
  });
});
