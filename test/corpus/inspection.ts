import { join } from 'node:path';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { forEachConcurrent } from '../../src/for-each-concurrent.js';
import type { CorpusFile } from './corpus-file.js';
import type { Verdict } from './judge.js';

/** Inspects files as the service does, with the built program, since its processes load files by name. */
export async function inspectAll(
  cache: string,
  files: readonly CorpusFile[],
  onVerdict: (file: CorpusFile, verdict: Verdict) => void,
): Promise<void> {
  const built = new URL('../../dist/service/inspection/inspection-pool.js', import.meta.url);
  const { InspectionPool } = await import(fileURLToPath(built));
  const pool = new InspectionPool();
  const { signal } = new AbortController();
  try {
    await forEachConcurrent(files, availableParallelism(), async (file) => {
      const path = join(cache, file.path);
      const found = await pool.inspect({ path, filename: nameOf(file), sizeBytes: file.sizeBytes }, signal);
      onVerdict(file, found.ok ? found : { ok: false, warnings: [], ...found.problem });
    });
  } finally {
    await pool.close();
  }
}

const nameOf = (file: CorpusFile): string => file.path.slice(file.path.lastIndexOf('/') + 1);
