import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Inspection as Found } from '../../src/dataset/inspect/inspection.js';
import { forEachConcurrent } from '../../src/for-each-concurrent.js';
import { clipDecoder } from '../../src/service/inspection/clip/decode-clip.js';
import { ffmpegChoiceOf, findFfmpeg } from '../../src/service/inspection/clip/ffmpeg.js';
import { InspectionPool } from '../../src/service/inspection/inspection-pool.js';
import type { CorpusFile } from './corpus-file.js';
import { truthOf } from './judge.js';
import { type Reader, readAll } from './readers/readings.js';
import type { Judged } from './report.js';
import { shuffledByHash } from './seed.js';

/** What the inspection under test says of a file. */
export interface Verdict {
  readonly ok: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

/** The verdict on a clip without and with ffmpeg; of an image, and on a system without ffmpeg, the first alone. */
export interface Verdicts {
  readonly inspected: Verdict;
  readonly decoded?: Verdict;
}

/** The inspection under test. */
export interface Inspection {
  inspect(file: { readonly path: string; readonly filename: string; readonly sizeBytes: number }): Promise<Verdicts>;
  close(): Promise<void>;
}

/** The inspection as the service calls it. Its processes run the built program. */
export async function openInspection(): Promise<Inspection> {
  const pool = new InspectionPool();
  const ffmpeg = await findFfmpeg(ffmpegChoiceOf(undefined, process.env.PATH));
  const decode = ffmpeg && clipDecoder(ffmpeg, pool);
  const options = { accountId: 'corpus', signal: new AbortController().signal };
  return {
    async inspect(file) {
      const inspection = await pool.inspect(file, options);
      const inspected = verdictOf(inspection);
      if (decode === undefined) return { inspected };
      if (!inspection.ok) return { inspected, decoded: inspected };
      return { inspected, decoded: verdictOf(await decode({ ...file, inspection }, options)) };
    },
    close: () => pool.close(),
  };
}

function verdictOf(found: Found): Verdict {
  return found.ok ? { ok: true, warnings: found.warnings } : { ok: false, warnings: [], ...found.problem };
}

/** More at a time than there are cores, so that files wait for each other as in a busy service. */
const CONCURRENCY = availableParallelism() * 2;

async function inspectFiles(
  cache: string,
  files: readonly CorpusFile[],
  inspection: Inspection,
  onVerdicts: (file: CorpusFile, verdicts: Verdicts) => void,
): Promise<void> {
  await forEachConcurrent(files, CONCURRENCY, async (file) => {
    const filename = file.path.slice(file.path.lastIndexOf('/') + 1);
    const path = join(cache, file.path);
    onVerdicts(file, await inspection.inspect({ path, filename, sizeBytes: file.sizeBytes }));
  });
}

/** Reads all files with the reference readers, inspects them, and puts both results together. */
export async function judgeCorpus(
  cache: string,
  files: readonly CorpusFile[],
  { readers, inspection, log }: { readers: readonly Reader[]; inspection: Inspection; log: (line: string) => void },
): Promise<Judged[]> {
  const readings = await readAll(cache, files, readers, log);
  const byPath = new Map(files.map((file) => [file.path, file]));
  const judged: Judged[] = [];
  let done = 0;
  const order = shuffledByHash(files, ({ path }) => path);
  await inspectFiles(cache, order, inspection, (file, { inspected, decoded }) => {
    const original = byPath.get(file.damage?.of ?? file.path) ?? file;
    const truth = truthOf(file, original, readings);
    judged.push({ file, truth, verdict: inspected, isDecoded: false });
    if (decoded !== undefined && file.format === 'clip')
      judged.push({ file, truth, verdict: decoded, isDecoded: true });
    if (++done % 500 === 0) log(`inspected ${done} of ${files.length}`);
  });
  return judged;
}

/** Inspects files again and again, concurrently and in another order each time, and returns those whose verdicts differ. */
export async function unsteadyFiles(
  cache: string,
  files: readonly CorpusFile[],
  { runs, inspection, log }: { runs: number; inspection: Inspection; log: (line: string) => void },
): Promise<{ file: CorpusFile; verdicts: readonly Verdicts[] }[]> {
  const verdicts = new Map(files.map((file) => [file, new Map<string, Verdicts>()]));
  for (let run = 1; run <= runs; run++) {
    const order = shuffledByHash(files, ({ path }) => `${run} ${path}`);
    await inspectFiles(cache, order, inspection, (file, found) => {
      verdicts.get(file)!.set(JSON.stringify(found), found);
    });
    log(`run ${run} of ${runs}`);
  }
  return [...verdicts]
    .filter(([, found]) => found.size > 1)
    .map(([file, found]) => ({ file, verdicts: [...found.values()] }));
}
