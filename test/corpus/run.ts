/*
 * `npm run corpus`: makes the corpus in the folder trainyard-corpus of XDG_CACHE_HOME or ~/.cache, reads it with the reference
 * readers, inspects it, and prints which damage was found. Exits with 1 if a goal is missed.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENCODED_CLIPS, encodeClips } from '../fixtures/encoded-clips.js';
import { buildCorpus } from './build-corpus.js';
import type { CorpusFile, Original } from './corpus-file.js';
import { judgeCorpus, openInspection } from './inspection.js';
import { installedReaders } from './readers/readings.js';
import { falseRefusalsOf, listOf, matrixOf, missedGoals, missesOf, tableOf } from './report.js';
import { madeImages } from './sources/made-images.js';
import { packageMedia } from './sources/package-media.js';
import { unpackPackages } from './sources/packages.js';

const OF_PACKAGES = { jpeg: 1300, png: 1400, webp: 384, clip: 5 };
const PICTURES = 10;
/** Damaged copies of each original. */
const COPIES = { jpeg: 2, png: 1, webp: 3, avif: 6, clip: 30 };

const log = (line: string): void => void process.stderr.write(`corpus: ${line}\n`);

/** Clips of every codec and container that intact clips come in, encoded by the first run. */
async function madeClips(folder: string): Promise<Original[]> {
  if (!existsSync(folder)) {
    const unfinished = `${folder}.part`;
    mkdirSync(unfinished, { recursive: true });
    await encodeClips(unfinished);
    renameSync(unfinished, folder);
  }
  return Object.keys(ENCODED_CLIPS).map((name) => {
    const bytes = readFileSync(join(folder, name));
    return { format: 'clip', extension: extname(name), origin: `ffmpeg ${name}`, bytes, isDamaged: true };
  });
}

async function corpusIn(cache: string): Promise<CorpusFile[]> {
  const packages = await unpackPackages(cache, log);
  const examples = fileURLToPath(new URL('../../examples/railway', import.meta.url));
  const pictures = readdirSync(examples)
    .filter((name) => /\.(jpg|png|webp)$/.test(name))
    .slice(0, PICTURES)
    .map((name) => ({ origin: name, bytes: readFileSync(join(examples, name)) }));
  const originals = [
    ...packageMedia(packages, OF_PACKAGES),
    ...(await madeImages(pictures)),
    ...(await madeClips(join(cache, 'clips'))),
  ];
  log(`damaging ${originals.length} originals`);
  return buildCorpus(cache, originals, ({ format }) => COPIES[format]);
}

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'trainyard-corpus');
mkdirSync(cache, { recursive: true });
const files = await corpusIn(cache);
const { readers, missing } = await installedReaders();
for (const name of missing) log(`${name} is not installed; its readings are left out`);
const inspection = await openInspection();
try {
  const judged = await judgeCorpus(cache, files, { readers, inspection, log });
  const matrix = matrixOf(judged);
  const missed = missedGoals(matrix);
  console.log(tableOf(matrix));
  console.log(listOf([...missesOf(judged), ...falseRefusalsOf(judged)]));
  for (const line of missed) console.log(`Missed: ${line}`);
  process.exitCode = missed.length === 0 ? 0 : 1;
} finally {
  await inspection.close();
}
