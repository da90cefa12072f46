import type { CorpusFile } from './corpus-file.js';
import { type Inspection, inspectFiles, type Verdicts } from './inspection.js';
import { truthOf } from './judge.js';
import type { Reader } from './readers/readings.js';
import { readAll } from './readers/readings.js';
import type { Judged } from './report.js';
import { shuffledByHash } from './seed.js';

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
