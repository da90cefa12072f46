import type { CompleteFile, Micros } from '../../dataset/dataset.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import type { BlobReader } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { fileWithBlob, recordBytes, VERIFY_JOB } from '../../storage/catalog/store-verification.js';
import { measureBlob } from '../../storage/blobs/ingest.js';
import type { Database } from '../../storage/database/database.js';
import { fetchIntact } from '../check/fetch-intact.js';
import type { JobHandler } from '../jobs/job-runner.js';

export interface VerifyBlobDependencies {
  readonly catalog: Catalog;
  readonly database: Database;
  readonly blobs: Pick<BlobReader, 'read'>;
  readonly now: () => Micros;
}

/**
 * Reads the bytes of a stored or past file and compares them with its SHA-256. Lost bytes make the dataset FAILED, also when the
 * file is restored later; bytes that are back end that.
 *
 * @param options.atOnce blobs that are read concurrently
 */
export function verifyBlobJob(dependencies: VerifyBlobDependencies, { atOnce }: { atOnce: number }): JobHandler {
  const { database, blobs } = dependencies;
  return {
    kind: VERIFY_JOB,
    atOnce,
    run: async ({ key: fileId }, signal) => {
      const file = await fileWithBlob(database, fileId);
      if (file === undefined) return 'done';
      const fetched = await fetchIntact({ fetch: (key, options) => measureBlob(blobs, key, options) }, file, {
        signal,
      });
      signal.throwIfAborted();
      const problem = 'problem' in fetched ? fetched.problem : undefined;
      if (problem?.message !== knownLoss(file)?.message) await recordBytes(file, problem, dependencies);
      return 'done';
    },
  };
}

function knownLoss({ upload }: CompleteFile): ErrorProblem | undefined {
  return 'problem' in upload && upload.problem?.code === 'BYTES_LOST' ? upload.problem : undefined;
}
