import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Inspection } from '../../../src/dataset/inspect/inspection.js';
import * as media from '../../fixtures/media.js';

const MAX_MEGABYTES = 250;
const SIDE = 10_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'inspect-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome<Found> {
  readonly outcome: Found;
  readonly peakMegabytes: number;
}

async function runAlone<Found>(task: 'inspect' | 'thumbnail', path: string, filename: string): Promise<Outcome<Found>> {
  const script = fileURLToPath(new URL('../../fixtures/peak-memory.ts', import.meta.url));
  const arguments_ = ['--import', 'tsx', script, task, path, filename];
  const { stdout } = await promisify(execFile)(process.execPath, arguments_);
  return JSON.parse(stdout) as Outcome<Found>;
}

/** A pattern of a hundred million pixels. */
async function patterned(): Promise<Sharp> {
  const tile = await media.png({ width: 500, height: 500 });
  return sharp(tile).resize(SIDE, SIDE, { fit: 'fill', kernel: 'nearest' });
}
const flat = (channels: 3 | 4): Sharp =>
  sharp({ create: { width: SIDE, height: SIDE, channels, background: { r: 9, g: 99, b: 199, alpha: 0.5 } } });

/** A small frame on a canvas of a hundred million pixels, all of which a decoder allocates. */
async function gif(): Promise<Buffer> {
  const bytes = await media.gif();
  bytes.writeUInt16LE(SIDE, 6);
  bytes.writeUInt16LE(SIDE, 8);
  return bytes;
}

/** A small image whose header declares a hundred million pixels: encoding those would take ten seconds. */
async function avif(): Promise<Buffer> {
  const bytes = await media.avif();
  const size = bytes.indexOf('ispe') + 8;
  bytes.writeUInt32BE(SIDE, size);
  bytes.writeUInt32BE(SIDE, size + 4);
  return bytes;
}

const MAKERS = {
  'baseline.jpg': async (path: string) => (await patterned()).jpeg().toFile(path),
  'progressive.jpg': async (path: string) => (await patterned()).jpeg({ progressive: true }).toFile(path),
  'plain.png': async (path: string) => (await patterned()).png({ compressionLevel: 1 }).toFile(path),
  'deep.png': async (path: string) => flat(4).toColourspace('rgb16').png({ compressionLevel: 1 }).toFile(path),
  'interlaced.png': async (path: string) => flat(3).png({ compressionLevel: 1, progressive: true }).toFile(path),
  'lossy.webp': async (path: string) => flat(3).webp({ effort: 0 }).toFile(path),
  'lossless.webp': async (path: string) => flat(3).webp({ effort: 0, lossless: true }).toFile(path),
  'strips.tif': async (path: string) => (await patterned()).tiff({ compression: 'lzw' }).toFile(path),
  'raw.tif': async (path: string) => (await patterned()).tiff({ compression: 'none' }).toFile(path),
  'tiled.tif': async (path: string) => (await patterned()).tiff({ tile: true }).toFile(path),
  'canvas.gif': async (path: string) => writeFile(path, await gif()),
  'declared.avif': async (path: string) => writeFile(path, await avif()),
  // Rows of a million pixels each: libvips holds hundreds of rows while it scales an image down.
  'wide.png': async (path: string) => {
    const rows = sharp({ create: { width: 1_000_000, height: 100, channels: 3, background: '#123' } });
    await rows.png({ compressionLevel: 1 }).toFile(path);
  },
};
const unchecked = ['lossless.webp', 'declared.avif'];

test.each(Object.entries(MAKERS))(
  '%s of 100 million pixels takes less than 250 MB',
  async (filename, make) => {
    const path = join(folder, filename);
    await make(path);
    const { outcome, peakMegabytes } = await runAlone<Inspection>('inspect', path, filename);
    expect(outcome).toMatchObject({ ok: true });
    expect(peakMegabytes).toBeLessThan(MAX_MEGABYTES);
    const warnings = outcome.ok ? outcome.warnings.map(({ code }) => code) : [];
    expect(warnings.includes('NOT_FULLY_CHECKED')).toBe(unchecked.includes(filename));
    const thumbnail = await runAlone<string>('thumbnail', path, filename);
    expect(thumbnail.peakMegabytes).toBeLessThan(MAX_MEGABYTES);
    const undecoded = [...unchecked, 'canvas.gif', 'progressive.jpg', 'interlaced.png', 'deep.png', 'wide.png'];
    expect(thumbnail.outcome).toBe(undecoded.includes(filename) ? 'NoThumbnail' : 'made');
    if (process.env.SHOW_MEMORY !== undefined) console.log(filename, peakMegabytes, thumbnail.peakMegabytes);
    rmSync(path);
  },
  60_000,
);

test('the largest image that is decoded leaves enough memory for a second one', async () => {
  const makers = {
    // 26 megapixels at 3 bytes, 19 at 4.2, 49 at 1.5, 17 at 4.6, 3.6 at 22: each just within the budget of a decoder.
    'a.jpg': (path: string) => sharp(pixels(5100)).jpeg({ progressive: true }).toFile(path),
    'a.png': (path: string) => sharp(pixels(5100)).png({ progressive: true, compressionLevel: 1 }).toFile(path),
    'a.webp': (path: string) => sharp(pixels(4300)).webp({ lossless: true, effort: 0 }).toFile(path),
    'b.webp': (path: string) => sharp(pixels(7000)).ensureAlpha(0.5).webp({ effort: 0 }).toFile(path),
    'a.gif': (path: string) => sharp(pixels(4100)).gif({ effort: 1, colours: 8 }).toFile(path),
    'a.avif': (path: string) => sharp(pixels(1900)).avif({ effort: 0 }).toFile(path),
  };
  for (const [filename, make] of Object.entries(makers)) {
    const path = join(folder, filename);
    await make(path);
    const { outcome, peakMegabytes } = await runAlone<Inspection>('inspect', path, filename);
    if (process.env.SHOW_MEMORY !== undefined) console.log(filename, peakMegabytes);
    expect(outcome.ok && outcome.warnings.some(({ code }) => code === 'NOT_FULLY_CHECKED')).toBe(false);
    // A process with the TypeScript loader takes about 110 MB by itself.
    expect(peakMegabytes, filename).toBeLessThan(110 + 100);
  }
}, 60_000);

function pixels(side: number) {
  return { create: { width: side, height: side, channels: 3, background: '#963' } } as const;
}
