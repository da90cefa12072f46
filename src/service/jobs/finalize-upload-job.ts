import { MICROS_PER_SECOND, type Micros, type PendingFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { type ErrorProblem, errorIn } from '../../dataset/problems.js';
import { BlobDamaged, blobKeyOf, type FetchedBlob } from '../../storage/blobs/blobs.js';
import type { ServiceDependencies } from '../dependencies.js';
import { UploadLease } from '../upload/upload-lease.js';
import type { JobEnd, JobHandler } from './job-runner.js';

/**
 * Decoding is bound by the processor, so more of an account would not finish sooner; the others have places when it has large
 * objects.
 */
const OF_ACCOUNT = 4;
const AT_ONCE = 16;

/** A dataset is UPLOADING until then, so that a store that is back is soon tried again. */
const LONGEST_RETRY: Micros = 60 * MICROS_PER_SECOND;

/** The pause while another process holds the lease of the upload, which may have died. */
const HELD_PAUSE: Micros = 2 * MICROS_PER_SECOND;

/** What the job of an upload knows of its object. */
export interface FoundObject {
  /** As the store has listed it. */
  readonly sizeBytes: number;
}

export interface FinalizeOptions {
  readonly onFinalized: (file: PendingFile, sizeBytes: number) => void;
  /** The client has its answer from the store, and may not look at the dataset's status again. */
  readonly onRejected: (file: PendingFile, message: string) => void;
}

/** Finalizes an upload, whose id is the key of the job, that its client has written to the store through a presigned link. */
export function finalizeUploadJob(dependencies: ServiceDependencies, options: FinalizeOptions): JobHandler {
  return {
    kind: 'finalize-upload',
    atOnce: AT_ONCE,
    ofAccount: OF_ACCOUNT,
    longestRetry: LONGEST_RETRY,
    run: async ({ key, payload }, signal) => {
      const file = await dependencies.catalog.file(key);
      if (file?.upload.state !== 'pending' || file.upload.via !== 'presigned') return 'done';
      const pending = file as PendingFile;
      try {
        return await finalize(dependencies, pending, { ...options, found: payload as FoundObject, signal });
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        if (error.code === 'invalid_content') options.onRejected(pending, error.message);
        // `link_withdrawn`: the file was removed in the meantime.
        else if (error.code !== 'link_withdrawn') throw error;
        return 'done';
      }
    },
  };
}

async function finalize(
  dependencies: ServiceDependencies,
  file: PendingFile,
  { found, signal, onFinalized }: Pick<FinalizeOptions, 'onFinalized'> & { found: FoundObject; signal: AbortSignal },
): Promise<JobEnd> {
  const { blobs, now } = dependencies;
  const lease = await UploadLease.acquire(dependencies, file);
  if (lease === undefined) return { dueAt: now() + HELD_PAUSE };
  try {
    return await lease.whileRenewing(async () => {
      const bytes = file.upload.expectedBytes ?? 0;
      const limit = { bytes, message: `The object of ${file.filename} is larger than ${bytes} bytes.` };
      const options = { limit, sizeBytes: found.sizeBytes, accountId: lease.accountId, signal };
      const fetched = await blobs.fetch(blobKeyOf(file), options).catch((error) => {
        if (error instanceof ServiceError && error.code === 'too_large') return 'too large' as const;
        if (error instanceof BlobDamaged) return lease.reject(unreadable(file.filename, error));
        throw error;
      });
      // The object was removed. The upload stays pending, and the search for it goes on.
      if (fetched === undefined) return lease.release().then(() => 'done' as const);
      if (fetched === 'too large' || fetched.sizeBytes !== bytes) return rejectSize(lease, fetched);
      // The object is under its key already.
      const commit = () => fetched.discard().then(() => fetched);
      await lease.finalize({ ...fetched, commit }, signal);
      onFinalized(file, bytes);
      return 'done';
    });
  } catch (error) {
    await lease.release().catch(() => {});
    throw error;
  }
}

/** Rejects an object of the wrong size. Only a store that does not enforce the signed length accepts one. */
async function rejectSize(lease: UploadLease, fetched: FetchedBlob | 'too large'): Promise<never> {
  const { filename, upload } = lease.file;
  if (fetched !== 'too large') await fetched.discard();
  const received = fetched === 'too large' ? 'more' : fetched.sizeBytes;
  const message = `The link of ${filename} was for ${upload.expectedBytes} bytes, but ${received} were uploaded. Upload it again.`;
  return lease.reject(errorIn(filename, 'WRONG_SIZE', message));
}

function unreadable(filename: string, { reason }: BlobDamaged): ErrorProblem {
  const message = `The bytes of ${filename} can't be read as they were uploaded: the store ${reason}. Upload it again.`;
  return errorIn(filename, 'BYTES_LOST', message);
}
