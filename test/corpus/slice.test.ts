// @module-tag long
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { whyNoReferenceReaders } from '../harness/available.js';
import { buildCorpus } from './build-corpus.js';
import { type CorpusFile, EXTENSIONS, type Original } from './corpus-file.js';
import { type Inspection, judgeCorpus, openInspection, unsteadyFiles } from './inspection.js';
import { installedReaders } from './readers/readings.js';
import { falseRefusalsOf, type Judged, listOf, matrixOf, missedGoals, missesOf } from './report.js';
import { shuffledByHash } from './seed.js';

const FOLDERS = ['images', 'clips', '../../examples/railway'];

/** A clip of each container and of most codecs: ffmpeg takes longer than all other readers. */
const CLIPS = /(faststart|fragmented|hevc)\.mp4|quicktime\.mov|vp9\.webm|matroska\.mkv|old\.avi|flash\.flv/;

/** The part of the corpus that needs no download: the fixtures, the example images, and images that sharp makes. */
async function originals(): Promise<Original[]> {
  const paths = FOLDERS.flatMap((folder) => {
    const path = fileURLToPath(new URL(`../fixtures/${folder}`, import.meta.url));
    return readdirSync(path).map((name) => join(path, name));
  });
  const found = paths.flatMap((path): Original[] => {
    const format = EXTENSIONS[extname(path)];
    const isLeftOut = path.includes('arithmetic') || (format === 'clip' && !CLIPS.test(path));
    if (format === undefined || isLeftOut) return [];
    return [{ format, extension: extname(path), origin: path, bytes: readFileSync(path), isDamaged: true }];
  });
  const made = {
    '.jpg': [await media.jpeg(), await media.jpeg({ progressive: true, orientation: 6 })],
    '.png': [await media.png(), await media.png({ progressive: true, alpha: true })],
    '.webp': [await media.webp({ lossless: true }), await media.webp({ alpha: true })],
    '.avif': [await media.avif()],
  };
  const makes = Object.entries(made).flatMap(([extension, files]) => files.map((bytes) => ({ extension, bytes })));
  return [
    ...found,
    ...makes.map(({ extension, bytes }): Original => {
      return { format: EXTENSIONS[extension]!, extension, origin: 'sharp', bytes, isDamaged: true };
    }),
  ];
}

const COPIES = { jpeg: 10, png: 10, webp: 8, avif: 8, clip: 4 };

const READERS = ['Pillow', 'djpeg', 'ffmpeg -xerror', 'ffmpeg', 'ffprobe'];

const leftOut = whyNoReferenceReaders();

describe.skipIf(leftOut !== undefined)(`a slice of the corpus${leftOut ? `, left out: ${leftOut}` : ''}`, () => {
  let folder: string;
  let inspection: Inspection;
  let files: CorpusFile[];
  let judged: Judged[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'corpus-slice-'));
    files = buildCorpus(folder, await originals(), ({ format }) => COPIES[format]);
    inspection = await openInspection();
    // The slice is judged in the same way on every machine, and in seconds.
    const { readers } = await installedReaders();
    judged = await judgeCorpus(folder, files, {
      readers: readers.filter(({ name }) => READERS.includes(name)),
      inspection,
      log: () => {},
    });
  });
  afterAll(async () => {
    await inspection?.close();
    rmSync(folder, { recursive: true });
  });

  test('has damage of each class', () => {
    for (const format of ['jpeg', 'png', 'webp', 'avif', 'clip'] as const) {
      const own = judged.filter(({ file }) => file.format === format);
      const classes = new Set(own.map(({ truth }) => truth.class));
      expect([...classes], format).toEqual(expect.arrayContaining(['intact', 'trainer fails']));
    }
    expect(judged.filter(({ truth }) => truth.class === 'reported').length).toBeGreaterThan(20);
    expect(judged.filter(({ truth }) => truth.class === 'fewer frames').length).toBeGreaterThan(5);
  });

  test('no intact file is refused', () => {
    expect(listOf(falseRefusalsOf(judged))).toBe('');
  });

  test('what the references complain of is refused', () => {
    expect(missedGoals(matrixOf(judged)), listOf(missesOf(judged))).toEqual([]);
  });

  test('the verdict and the message are the same in every run', async () => {
    const sample = shuffledByHash(files, ({ sha256 }) => sha256).slice(0, 50);
    expect(await unsteadyFiles(folder, sample, { runs: 3, inspection, log: () => {} })).toEqual([]);
  });
});
