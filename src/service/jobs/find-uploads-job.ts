import { type Dataset, MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { retire } from '../../dataset/uploads/replaced-uploads.js';
import { type BlobStore, blobKeyOf } from '../../storage/blobs/blobs.js';
import type { Job, NewJob } from '../../storage/catalog/jobs.js';
import type { SoughtUpload } from '../../storage/catalog/presigned/sought-uploads.js';
import { rowChunksOf } from '../../storage/catalog/statements.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { FoundObject } from './finalize-upload-job.js';
import type { JobEnd, JobHandler } from './job-runner.js';

const LISTINGS_AT_ONCE = 4;

/** A transaction blocks all other writes, so that many uploads are retired in several. */
const FILES_PER_TRANSACTION = 100;

/** Pending uploads that are looked for in one page of a store, which has as many objects. */
const IDS_PER_PAGE = 1000;

/**
 * A search ends once all uploads expired longer ago than this, and replaced ones are removed then: no transfer is likely to be in
 * flight any more. A status request still searches for the others.
 */
const SEARCH_AFTER_EXPIRY: Micros = 3600 * MICROS_PER_SECOND;

/** A dataset is searched again after a tenth of the time since its last reservation, within these bounds. */
const MIN_INTERVAL: Micros = 2 * MICROS_PER_SECOND;
const MAX_INTERVAL: Micros = 60 * MICROS_PER_SECOND;

type FindDependencies = Pick<ServiceDependencies, 'catalog' | 'jobs' | 'now'>;
type ListObjects = NonNullable<BlobStore['listObjects']>;

/**
 * Finds uploads that clients have written to the store through presigned links, and enqueues a job that finalizes each. The key of
 * the job is the id of a dataset. The store sends no notifications, so the job repeats until no upload is pending.
 *
 * @param options.listObjects none if the store has none: the catalog may have been moved from one that had
 */
export function findUploadsJob(
  dependencies: FindDependencies,
  { listObjects = async () => ({ objects: [], next: undefined }) }: { listObjects: ListObjects | undefined },
): JobHandler {
  return {
    kind: 'find-uploads',
    atOnce: LISTINGS_AT_ONCE,
    longestRetry: MAX_INTERVAL,
    run: async (job, signal) => {
      const endedBy = dependencies.now() - SEARCH_AFTER_EXPIRY;
      let reservedAt: Micros | undefined;
      let page: SearchedPage = { sought: [], next: '' };
      while (page.next !== undefined) {
        signal.throwIfAborted();
        page = await searchPage(dependencies, { job, listObjects, after: page.next, endedBy });
        for (const { createdAt, expiresAt, isReplaced } of page.sought) {
          if (isReplaced || expiresAt > endedBy) reservedAt = Math.max(reservedAt ?? 0, createdAt);
        }
      }
      return reservedAt === undefined ? 'done' : againAfter(reservedAt, dependencies.now());
    },
  };
}

function againAfter(reservedAt: Micros, now: Micros): JobEnd {
  const interval = Math.min(Math.max((now - reservedAt) / 10, MIN_INTERVAL), MAX_INTERVAL);
  return { dueAt: now + Math.round(interval) };
}

interface SearchedPage {
  readonly sought: readonly SoughtUpload[];
  /** The id after which the next page begins; `undefined` after the last one. */
  readonly next: string | undefined;
}

/** Lists one page of the objects of a dataset, and enqueues the uploads in it. */
async function searchPage(
  { catalog, jobs, now }: FindDependencies,
  { job, listObjects, after, endedBy }: { job: Job; listObjects: ListObjects; after: string; endedBy: Micros },
): Promise<SearchedPage> {
  const { key: datasetId, accountId } = job;
  const sought = await catalog.presignedPage({ datasetId, after, limit: IDS_PER_PAGE });
  const [first] = sought;
  if (first === undefined) return { sought, next: undefined };
  const keyOf = ({ id }: { id: string }) => blobKeyOf({ id, datasetId });
  // A listing begins after a key that need not exist. This prefix of the first pending key sorts before it.
  const { objects, next } = await listObjects(datasetId, { after: keyOf(first).slice(0, -1) });
  const sizes = new Map(objects.map(({ key, sizeBytes }) => [key, sizeBytes]));
  // Of uploads of one name, the older one should be stored first.
  const found = sought.filter((upload) => sizes.has(keyOf(upload))).toSorted((a, b) => a.createdAt - b.createdAt);
  const dueAt = now();
  const finalizations = found.map((upload, i): NewJob => {
    const payload: FoundObject = { sizeBytes: sizes.get(keyOf(upload)) ?? 0 };
    return { kind: 'finalize-upload', key: upload.id, accountId, dueAt: dueAt + i, payload };
  });
  for (const chunk of rowChunksOf(finalizations)) await jobs.ensure(chunk);
  // Keys sort in the order of their ids.
  const lastKey = objects.at(-1)?.key ?? '';
  const isListed = (upload: SoughtUpload) => next === undefined || keyOf(upload) <= lastKey;
  const missing = sought.filter((upload) => isListed(upload) && !sizes.has(keyOf(upload)));
  await retireMissing({ catalog, now }, missing, { datasetId, endedBy });
  const reached = sought.findLast(isListed) ?? first;
  const isAll = reached === sought.at(-1) && sought.length < IDS_PER_PAGE;
  return { sought, next: isAll ? undefined : reached.id };
}

/** Retires replaced uploads whose bytes the store did not have when it was searched, and removes them some time after they expired. */
async function retireMissing(
  { catalog, now }: Pick<FindDependencies, 'catalog' | 'now'>,
  missing: readonly SoughtUpload[],
  { datasetId, endedBy }: { datasetId: string; endedBy: Micros },
): Promise<void> {
  const due = missing.filter((one) => one.isReplaced && (!one.isRetired || one.expiresAt <= endedBy));
  for (let start = 0; start < due.length; start += FILES_PER_TRANSACTION) {
    const some = due.slice(start, start + FILES_PER_TRANSACTION);
    const ids = new Set(some.map(({ id }) => id));
    const change = { datasetId, filenames: some.map(({ filename }) => filename), now: now(), isActivity: false };
    await catalog.change({ ...change, isDurable: false }, (group) => retire(group, ids, { now: change.now, endedBy }));
  }
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
