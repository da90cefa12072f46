import { MICROS_PER_SECOND, type Micros, type PendingFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { errorIn } from '../../dataset/problems.js';
import { BlobChanged, BlobDamaged, blobKeyOf, type Staging } from '../../storage/blobs/blobs.js';
import type { NewJob } from '../../storage/catalog/jobs.js';
import type { ServiceDependencies } from '../dependencies.js';
import { UploadLease } from '../upload/upload-lease.js';
import type { JobHandler } from './job-runner.js';

const LISTINGS_AT_ONCE = 4;

/** A search ends so long after all uploads expired: a large file that was begun in time may take hours. */
const SEARCH_AFTER_EXPIRY: Micros = 24 * 3600 * MICROS_PER_SECOND;

/** A dataset is searched again after a tenth of the time since its last reservation, within these bounds. */
const MIN_INTERVAL: Micros = 2 * MICROS_PER_SECOND;
const MAX_INTERVAL: Micros = 10 * MICROS_PER_SECOND;

/** And then, so long after the last reservation, at intervals of a twentieth of it. */
const RARELY_AFTER: Micros = 2 * 3600 * MICROS_PER_SECOND;

/** Decoding is bound by the processor, so more jobs of an account would not finish sooner. */
const OF_ACCOUNT = 4;
const AT_ONCE = 16;

/** The pause while another process, which may have died, holds the lease. */
const HELD_PAUSE: Micros = 2 * MICROS_PER_SECOND;

/**
 * Finds uploads that clients have written to the store, and enqueues a job that finalizes each. The key is the id of a dataset.
 * Stores send no notifications, so the job repeats until no upload is pending.
 */
export function findUploadsJob(dependencies: ServiceDependencies): JobHandler {
  const { catalog, blobs, jobs, now } = dependencies;
  return {
    kind: 'find-uploads',
    atOnce: LISTINGS_AT_ONCE,
    run: async ({ key: datasetId, accountId }, signal) => {
      for await (const page of blobs.staging?.list(datasetId) ?? []) {
        signal.throwIfAborted();
        const dueAt = now();
        const finalizations = page.map(({ key }): NewJob => {
          const fileId = key.slice(datasetId.length + 1);
          return { kind: 'finalize-upload', key: fileId, accountId, dueAt, payload: { datasetId } };
        });
        await jobs.ensure(finalizations);
      }
      const reservedAt = await catalog.lastPresigned({ datasetId, expiresAfter: now() - SEARCH_AFTER_EXPIRY });
      if (reservedAt === null) return 'done';
      const age = now() - reservedAt;
      const interval = age > RARELY_AFTER ? age / 20 : Math.min(Math.max(age / 10, MIN_INTERVAL), MAX_INTERVAL);
      return { dueAt: now() + Math.round(interval) };
    },
  };
}

export interface FinalizeOptions {
  readonly onFinalized: (file: PendingFile, sizeBytes: number) => void;
  /** The client has its answer from the store already. */
  readonly onRejected: (file: PendingFile, message: string) => void;
  /** The link was used or withdrawn. */
  readonly onIgnored: (blobKey: string) => void;
}

/** Finalizes an upload, whose id is the key, that its client has written to the store: inspects, copies and deletes the object. */
export function finalizeUploadJob(dependencies: ServiceDependencies, options: FinalizeOptions): JobHandler {
  const { catalog, blobs, now } = dependencies;
  return {
    kind: 'finalize-upload',
    atOnce: AT_ONCE,
    ofAccount: OF_ACCOUNT,
    run: async ({ key, payload }, signal) => {
      const { staging } = blobs;
      if (staging === undefined) return 'done';
      const blobKey = blobKeyOf({ ...(payload as { datasetId: string }), id: key });
      const file = await catalog.file(key);
      if (file?.upload.state === 'pending' && file.upload.via === 'presigned') {
        const pending = file as PendingFile;
        const lease = await UploadLease.acquire(dependencies, pending);
        if (lease === undefined) return { dueAt: now() + HELD_PAUSE };
        try {
          if (!(await finalize(lease, staging, signal))) return 'done';
          options.onFinalized(pending, pending.upload.expectedBytes ?? 0);
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          if (error.code === 'invalid_content') options.onRejected(pending, error.message);
          // `link_withdrawn`: the file was removed meanwhile.
          else if (error.code !== 'link_withdrawn') throw error;
        }
      } else options.onIgnored(blobKey);
      await staging.delete([blobKey]);
      return 'done';
    },
  };
}

/** @returns false if the object disappeared or was replaced: the search goes on @throws as `UploadLease.finalize` */
async function finalize(lease: UploadLease, staging: Staging, signal: AbortSignal): Promise<boolean> {
  const { filename, upload } = lease.file;
  const bytes = upload.expectedBytes ?? 0;
  // Only a store that does not enforce the signed length accepts another size.
  const rejectSize = (received: number | 'more') => {
    const message = `The link of ${filename} was for ${bytes} bytes, but ${received} were uploaded. Upload it again.`;
    return lease.reject(errorIn(filename, 'WRONG_SIZE', message));
  };
  try {
    return await lease.whileRenewing(async () => {
      const options = { limit: { bytes, message: '' }, accountId: lease.accountId, signal };
      const staged = await staging.receive(blobKeyOf(lease.file), options).catch((error) => {
        if (error instanceof ServiceError && error.code === 'too_large') return rejectSize('more');
        if (!(error instanceof BlobDamaged)) throw error;
        const message = `The bytes of ${filename} can't be read as they were uploaded: the store ${error.reason}. Upload it again.`;
        return lease.reject(errorIn(filename, 'BYTES_LOST', message));
      });
      if (staged === undefined) return lease.release().then(() => false);
      if (staged.sizeBytes !== bytes) {
        await staged.discard();
        return rejectSize(staged.sizeBytes);
      }
      await lease.finalize(staged, signal);
      return true;
    });
  } catch (error) {
    await lease.release().catch(() => {});
    if (error instanceof BlobChanged) return false;
    throw error;
  }
}
