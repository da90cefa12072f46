import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forEachConcurrent } from '../../src/for-each-concurrent.js';
import type { CorpusFile } from './corpus-file.js';
import type { Verdict } from './judge.js';

/** The inspection under test. */
export interface Inspection {
  inspect(file: { readonly path: string; readonly filename: string; readonly sizeBytes: number }): Promise<Verdict>;
  close(): Promise<void>;
}

/** The inspection of the built program, as the service calls it. The source can't be used: processes load files by name. */
export async function openInspection(): Promise<Inspection> {
  const built = new URL('../../dist/service/inspection/inspection-pool.js', import.meta.url);
  const { InspectionPool } = await import(fileURLToPath(built));
  const pool = new InspectionPool();
  const options = { accountId: 'corpus', signal: new AbortController().signal };
  return {
    async inspect(file) {
      const found = await pool.inspect(file, options);
      return found.ok ? { ok: true, warnings: found.warnings } : { ok: false, warnings: [], ...found.problem };
    },
    close: () => pool.close(),
  };
}

/** More at a time than there are cores, so that files wait for each other as in a busy service. */
const CONCURRENCY = availableParallelism() * 2;

export async function inspectFiles(
  cache: string,
  files: readonly CorpusFile[],
  inspection: Inspection,
  onVerdict: (file: CorpusFile, verdict: Verdict) => void,
): Promise<void> {
  await forEachConcurrent(files, CONCURRENCY, async (file) => {
    const filename = file.path.slice(file.path.lastIndexOf('/') + 1);
    const path = join(cache, file.path);
    onVerdict(file, await inspection.inspect({ path, filename, sizeBytes: file.sizeBytes }));
  });
}
