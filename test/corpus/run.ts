/*
 * `npm run corpus`: makes the corpus in the folder trainyard-corpus of XDG_CACHE_HOME or ~/.cache, reads it with the reference
 * readers, inspects it, and prints which damage was found. Exits with 1 if a goal is missed.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCorpus } from './build-corpus.js';
import type { CorpusFile } from './corpus-file.js';
import { judgeCorpus, openInspection } from './inspection.js';
import { installedReaders } from './readers/readings.js';
import { falseRefusalsOf, listOf, matrixOf, missedGoals, missesOf, tableOf } from './report.js';
import { madeClips } from './sources/made-clips.js';
import { madeImages } from './sources/made-images.js';
import { packageMedia } from './sources/package-media.js';
import { unpackPackages } from './sources/packages.js';

const OF_PACKAGES = { jpeg: 1300, png: 1400, webp: 384, clip: 5 };
const CLIPS = 140;
const PICTURES = 10;
/** Damaged copies of each original. */
const COPIES = { jpeg: 2, png: 1, webp: 3, avif: 6, clip: 12 };

const log = (line: string): void => void process.stderr.write(`corpus: ${line}\n`);

async function corpusIn(cache: string): Promise<CorpusFile[]> {
  const packages = await unpackPackages(cache, log);
  const examples = fileURLToPath(new URL('../../examples/railway', import.meta.url));
  const pictures = readdirSync(examples)
    .filter((name) => /\.(jpg|png|webp)$/.test(name))
    .slice(0, PICTURES)
    .map((name) => ({ origin: name, bytes: readFileSync(join(examples, name)) }));
  const originals = [
    ...packageMedia(packages, OF_PACKAGES),
    ...(await madeImages(pictures, log)),
    ...(await madeClips(join(cache, 'clips'), CLIPS, log)),
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
