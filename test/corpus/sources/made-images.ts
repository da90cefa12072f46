import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import { EXTENSIONS_OF, type Format, type Original } from '../corpus-file.js';

const run = promisify(execFile);

type Encoder = (picture: Sharp) => Sharp;

/** By the name of the variant: how sharp writes a picture. */
const ENCODERS: Readonly<Partial<Record<Format, Readonly<Record<string, Encoder>>>>> = {
  jpeg: {
    baseline: (picture) => picture.jpeg({ quality: 85 }),
    progressive: (picture) => picture.jpeg({ progressive: true }),
    mozjpeg: (picture) => picture.jpeg({ mozjpeg: true }),
    grey: (picture) => picture.greyscale().jpeg(),
    cmyk: (picture) => picture.toColourspace('cmyk').jpeg(),
    icc: (picture) => picture.withIccProfile('p3').jpeg(),
  },
  png: {
    plain: (picture) => picture.png(),
    interlaced: (picture) => picture.png({ progressive: true }),
    palette: (picture) => picture.png({ palette: true, colours: 16 }),
    deep: (picture) => picture.toColourspace('rgb16').png(),
    grey: (picture) => picture.greyscale().png(),
    alpha: (picture) => picture.ensureAlpha(0.5).png(),
    icc: (picture) => picture.withIccProfile('p3').png(),
  },
  webp: {
    lossy: (picture) => picture.webp({ quality: 75, effort: 1 }),
    lossless: (picture) => picture.webp({ lossless: true, effort: 1 }),
    alpha: (picture) => picture.ensureAlpha(0.5).webp({ effort: 1 }),
    icc: (picture) => picture.withIccProfile('p3').webp({ effort: 1 }),
  },
  avif: {
    plain: (picture) => picture.avif({ effort: 0 }),
    alpha: (picture) => picture.ensureAlpha(0.5).avif({ effort: 0 }),
    lossless: (picture) => picture.resize(160).avif({ effort: 0, lossless: true }),
  },
};

/** How cjpeg writes what sharp can't. */
const CJPEG: Readonly<Record<string, readonly string[]>> = {
  restarts: ['-restart', '1'],
  'progressive-restarts': ['-progressive', '-restart', '2'],
  '4x1': ['-sample', '4x1'],
  rgb: ['-rgb'],
};

/**
 * Encodes each picture in every way that sharp knows, and cjpeg where it is installed.
 */
export async function madeImages(
  pictures: readonly { readonly origin: string; readonly bytes: Buffer }[],
  log: (line: string) => void,
): Promise<Original[]> {
  const originals: Original[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'corpus-'));
  const missing = new Set<string>();
  try {
    for (const [index, { origin, bytes }] of pictures.entries()) {
      // Some sizes are not multiples of a block.
      const width = 200 + ((index * 37) % 240);
      const picture = () => sharp(bytes, { limitInputPixels: false }).rotate().resize(width).removeAlpha();
      for (const [format, encoders] of Object.entries(ENCODERS) as [Format, Record<string, Encoder>][]) {
        for (const [name, encode] of Object.entries(encoders)) {
          const encoded = await encode(picture()).toBuffer();
          originals.push(original(format, `${format} ${name} of ${origin}`, encoded));
        }
      }
      const input = join(folder, 'input.ppm');
      await writeFile(input, ppm(await picture().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true })));
      for (const [name, options] of Object.entries(CJPEG)) {
        const output = join(folder, 'output.jpg');
        const made = await tryRun('cjpeg', [...options, '-outfile', output, input], missing);
        if (made) originals.push(original('jpeg', `cjpeg ${name} of ${origin}`, await readFile(output)));
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  for (const tool of missing) log(`no files of ${tool}, which is not installed`);
  return originals;
}

const original = (format: Format, origin: string, bytes: Buffer): Original => ({
  format,
  extension: EXTENSIONS_OF[format][0],
  origin,
  bytes,
  isDamaged: true,
});

function ppm({ data, info }: { data: Buffer; info: { width: number; height: number; channels: number } }): Buffer {
  return Buffer.concat([Buffer.from(`P${info.channels === 1 ? 5 : 6}\n${info.width} ${info.height}\n255\n`), data]);
}

async function tryRun(tool: string, args: readonly string[], missing: Set<string>): Promise<boolean> {
  if (missing.has(tool)) return false;
  try {
    await run(tool, args);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    missing.add(tool);
    return false;
  }
}
