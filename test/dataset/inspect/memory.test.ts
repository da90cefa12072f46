import { rmSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { expect, test } from 'vitest';
import { InspectionPool } from '../../../src/service/inspection/inspection-pool.js';
import * as media from '../../fixtures/media.js';
import { IS_ALL } from '../../harness/available.js';
import { FOLDER } from '../../harness/inspecting.js';

const SIDE = 10_000;

/** Inspects a file and makes its thumbnail, each in a new process. Returns the codes of what was found. */
async function inspectAlone(
  path: string,
  filename: string,
  role?: 'mask',
): Promise<{ codes: string[]; thumbnail: string }> {
  const pool = new InspectionPool();
  const sizeBytes = statSync(path).size;
  const options = { accountId: 'a', signal: new AbortController().signal };
  const [inspection, thumbnail] = await Promise.all([
    pool.inspect({ path, filename, sizeBytes }, { ...options, role }),
    pool.thumbnail({ path, maxPixels: 320 }, options).then(
      () => 'made',
      (error: Error) => error.name,
    ),
  ]);
  await pool.close();
  return { codes: inspection.ok ? inspection.warnings.map(({ code }) => code) : [inspection.problem.code], thumbnail };
}

/** A pattern of a hundred million pixels. */
async function patterned(): Promise<Sharp> {
  const tile = await media.png({ width: 500, height: 500 });
  return sharp(tile).resize(SIDE, SIDE, { fit: 'fill', kernel: 'nearest' });
}
const flat = (channels: 3 | 4): Sharp =>
  sharp({ create: { width: SIDE, height: SIDE, channels, background: { r: 9, g: 99, b: 199, alpha: 0.5 } } });

const MAKERS = {
  'baseline.jpg': async (path: string) => (await patterned()).jpeg().toFile(path),
  'progressive.jpg': async (path: string) => (await patterned()).jpeg({ progressive: true }).toFile(path),
  'plain.png': async (path: string) => (await patterned()).png({ compressionLevel: 1 }).toFile(path),
  'deep.png': async (path: string) => flat(4).toColourspace('rgb16').png({ compressionLevel: 1 }).toFile(path),
  'interlaced.png': async (path: string) => flat(3).png({ compressionLevel: 1, progressive: true }).toFile(path),
  'lossy.webp': async (path: string) => flat(3).webp({ effort: 0 }).toFile(path),
  'lossless.webp': async (path: string) => flat(3).webp({ effort: 0, lossless: true }).toFile(path),
  'strips.tif': async (path: string) => (await patterned()).tiff({ compression: 'lzw' }).toFile(path),
  'declared.avif': async (path: string) => writeFile(path, await media.declaredAvif(SIDE)),
  // Rows of a million pixels each: libvips holds hundreds of rows while it scales an image down.
  'wide.png': async (path: string) => {
    const rows = sharp({ create: { width: 1_000_000, height: 100, channels: 3, background: '#123' } });
    await rows.png({ compressionLevel: 1 }).toFile(path);
  },
};
const unchecked = ['lossless.webp', 'declared.avif', 'interlaced.png', 'wide.png'];

const undecoded = [...unchecked, 'progressive.jpg', 'deep.png'];
const QUICK = ['declared.avif'];

test.each(Object.entries(MAKERS).filter(([name]) => IS_ALL || QUICK.includes(name)))(
  '%s of 100 million pixels is inspected within the limit of memory',
  async (filename, make) => {
    const path = join(FOLDER, filename);
    await make(path);
    const { codes, thumbnail } = await inspectAlone(path, filename);
    expect(codes).not.toContain('INSPECTION_FAILED');
    expect(codes.includes('NOT_FULLY_CHECKED')).toBe(unchecked.includes(filename));
    expect(thumbnail).toBe(undecoded.includes(filename) ? 'NoThumbnail' : 'made');
    rmSync(path);
  },
);

/** 26 megapixels at 3 bytes, 19 at 4.2, 3.6 at 22: each just within the budget of a decoder. */
const LARGEST: [filename: string, side: number, encode: (image: Sharp) => Sharp][] = [
  ['a.jpg', 5100, (image) => image.jpeg({ progressive: true })],
  ['a.png', 5100, (image) => image.png({ progressive: true, compressionLevel: 1 })],
  ['a.webp', 4300, (image) => image.webp({ lossless: true, effort: 0 })],
  ['a.avif', 1900, (image) => image.avif({ effort: 0 })],
];

test('a large mask is read within it', async () => {
  const path = join(FOLDER, 'mask.jpg');
  await sharp({ create: { width: 6000, height: 6000, channels: 3, background: '#fff' } })
    .jpeg()
    .toFile(path);
  expect((await inspectAlone(path, 'mask.jpg', 'mask')).codes).toEqual([]);
});

test('the largest images that are decoded stay within it', async () => {
  for (const [filename, side, encode] of LARGEST.slice(0, IS_ALL ? undefined : 1)) {
    const path = join(FOLDER, filename);
    await encode(sharp({ create: { width: side, height: side, channels: 3, background: '#963' } })).toFile(path);
    const { codes } = await inspectAlone(path, filename);
    expect(codes.filter((code) => code !== 'NOT_TRAINED_ON')).toEqual([]);
  }
});
