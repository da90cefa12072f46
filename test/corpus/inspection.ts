import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { forEachConcurrent } from '../../src/for-each-concurrent.js';
import { clipDecoder } from '../../src/service/inspection/clip/decode-clip.js';
import { ffmpegChoiceOf, findFfmpeg } from '../../src/service/inspection/clip/ffmpeg.js';
import { InspectionPool } from '../../src/service/inspection/inspection-pool.js';
import type { CorpusFile } from './corpus-file.js';

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
  readonly decodesClips: boolean;
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
    decodesClips: decode !== undefined,
    close: () => pool.close(),
  };
}

function verdictOf(found: import('../../src/dataset/inspect/inspection.js').Inspection): Verdict {
  return found.ok ? { ok: true, warnings: found.warnings } : { ok: false, warnings: [], ...found.problem };
}

/** More at a time than there are cores, so that files wait for each other as in a busy service. */
const CONCURRENCY = availableParallelism() * 2;

export async function inspectFiles(
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
