import type { CorpusFile } from './corpus-file.js';
import { type Inspection, inspectFiles } from './inspection.js';
import { truthOf, type Verdict } from './judge.js';
import type { Reader } from './readers/reader.js';
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
  await inspectFiles(
    cache,
    shuffledByHash(files, ({ path }) => path),
    inspection,
    (file, verdict) => {
      const original = byPath.get(file.damage?.of ?? file.path) ?? file;
      judged.push({ file, verdict, truth: truthOf(file, original, readings) });
      if (judged.length % 500 === 0) log(`inspected ${judged.length} of ${files.length}`);
    },
  );
  return judged;
}

/** Inspects files again and again, concurrently and in another order each time, and returns those whose verdicts differ. */
export async function unsteadyFiles(
  cache: string,
  files: readonly CorpusFile[],
  { runs, inspection, log }: { runs: number; inspection: Inspection; log: (line: string) => void },
): Promise<{ file: CorpusFile; verdicts: readonly Verdict[] }[]> {
  const verdicts = new Map(files.map((file) => [file, new Map<string, Verdict>()]));
  for (let run = 1; run <= runs; run++) {
    const order = shuffledByHash(files, ({ path }) => `${run} ${path}`);
    await inspectFiles(cache, order, inspection, (file, verdict) => {
      verdicts.get(file)!.set(JSON.stringify(verdict), verdict);
    });
    log(`run ${run} of ${runs}`);
  }
  return [...verdicts]
    .filter(([, found]) => found.size > 1)
    .map(([file, found]) => ({ file, verdicts: [...found.values()] }));
}
