import { type Dataset, MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { NewJob } from '../../storage/catalog/jobs.js';
import { rowChunksOf } from '../../storage/catalog/statements.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { FoundUpload } from './finalize-upload-job.js';
import type { JobHandler } from './job-runner.js';

const LISTINGS_AT_ONCE = 4;

/** A search ends once all uploads expired longer ago than this: no transfer is likely to be in flight any more. */
const SEARCH_AFTER_EXPIRY: Micros = 3600 * MICROS_PER_SECOND;

/** A dataset is searched again after a tenth of the time since its last reservation, within these bounds. */
const MIN_INTERVAL: Micros = 2 * MICROS_PER_SECOND;
const MAX_INTERVAL: Micros = 60 * MICROS_PER_SECOND;

/**
 * Finds uploads that clients have written to the store through presigned links, and enqueues a job that finalizes each. The key of
 * the job is the id of a dataset. The store sends no notifications, so the job repeats until no upload is pending.
 */
export function findUploadsJob({
  catalog,
  blobs,
  jobs,
  now,
}: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'jobs' | 'now'>): JobHandler {
  return {
    kind: 'find-uploads',
    atOnce: LISTINGS_AT_ONCE,
    longestRetry: MAX_INTERVAL,
    run: async ({ key: datasetId, accountId }, signal) => {
      for await (const page of blobs.staging?.list(datasetId) ?? []) {
        signal.throwIfAborted();
        const dueAt = now();
        const payload: FoundUpload = { datasetId };
        const finalizations = page.map(({ key }): NewJob => {
          return { kind: 'finalize-upload', key: key.slice(datasetId.length + 1), accountId, dueAt, payload };
        });
        for (const chunk of rowChunksOf(finalizations)) await jobs.ensure(chunk);
      }
      const reservedAt = await catalog.lastPresigned({ datasetId, expiresAfter: now() - SEARCH_AFTER_EXPIRY });
      if (reservedAt === null) return 'done';
      const interval = Math.min(Math.max((now() - reservedAt) / 10, MIN_INTERVAL), MAX_INTERVAL);
      return { dueAt: now() + Math.round(interval) };
    },
  };
}

/** After a request has made the search of a dataset due, others do so after this time. */
const REQUEST_PAUSE_MS = 1000;

/**
 * Makes a function that makes the search of a dataset due now, for requests for its status. It returns at once, and most calls
 * write nothing: a database that is slow gets one write of a dataset at a time.
 */
export function searchOnRequest(
  { jobs, now }: Pick<ServiceDependencies, 'jobs' | 'now'>,
  onError: (error: unknown) => void,
): (dataset: Pick<Dataset, 'id' | 'accountId'>) => void {
  const requested = new Set<string>();
  return ({ id, accountId }) => {
    if (requested.has(id)) return;
    requested.add(id);
    jobs
      .add([{ kind: 'find-uploads', key: id, accountId, dueAt: now() }], { ifWaiting: 'earlier' })
      .catch(onError)
      .finally(() => setTimeout(() => requested.delete(id), REQUEST_PAUSE_MS).unref());
  };
}
