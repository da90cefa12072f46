import { setMaxListeners } from 'node:events';
import { MICROS_PER_SECOND, type Micros, type PendingFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { type ErrorProblem, errorIn } from '../../dataset/problems.js';
import { retire } from '../../dataset/uploads/replaced-uploads.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { BlobDamaged, type BlobStore, blobKeyOf, type FetchedBlob } from '../../storage/blobs/blobs.js';
import type { SoughtUpload } from '../../storage/catalog/presigned/sought-uploads.js';
import { FairQueue } from '../../storage/fair-queue.js';
import type { ServiceDependencies } from '../dependencies.js';
import { UploadLease } from './upload-lease.js';

/**
 * Finalizations at once, of an account and of all. Decoding is bound by the processor, so more of an account would not finish
 * sooner; the others have places when it has large objects.
 */
const MAX_OF_ACCOUNT = 4;
const MAX_FINALIZATIONS = 16;

const MAX_CONCURRENT_LISTINGS = 4;

/** A transaction blocks all other writes, so that many uploads are retired in several. */
const FILES_PER_TRANSACTION = 100;

/** Pending uploads that are looked for in one page of a store, which has as many objects. */
const IDS_PER_PAGE = 1000;

/**
 * `pollAll` skips uploads that expired longer ago than this, and replaced ones are removed then: no transfer is likely to be in
 * flight any more. `poll` still finds the others.
 */
const POLL_AFTER_EXPIRY: Micros = 3600 * MICROS_PER_SECOND;

/** `pollAll` polls a dataset again after a tenth of the time since its reservation, within these bounds. */
const MIN_POLL_INTERVAL: Micros = 2 * MICROS_PER_SECOND;
const MAX_POLL_INTERVAL: Micros = 60 * MICROS_PER_SECOND;

/** `pollAll` leaves datasets to its next call after this time, and begins no further one. */
const MAX_POLL_MS = 10_000;

/** Datasets of which the start of the next poll is kept. Another dataset is polled from its beginning again. */
const MAX_REACHED = 1000;

export interface PresignedUploadsOptions {
  readonly listObjects: NonNullable<BlobStore['listObjects']>;
  readonly onFinalized: (file: PendingFile, sizeBytes: number) => void;
  /** The client has its answer from the store, and may not look at the dataset's status again. */
  readonly onRejected: (file: PendingFile, message: string) => void;
  /** Reports a failure that will be retried. `failure` says which operation failed. */
  readonly onError: (error: unknown, failure: string) => void;
}

interface ListedUpload {
  readonly file: PendingFile;
  /** As the store has listed it. */
  readonly sizeBytes: number | undefined;
}

/**
 * Finds uploads that clients have written to the store through presigned links, and finalizes them. The store sends no
 * notifications, so it is polled: for one dataset whenever a client requests its status, and for all in the background.
 * Every instance may find an upload. Its lease decides which instance finalizes it, and expires if that instance dies.
 */
export class PresignedUploads {
  readonly #dependencies: ServiceDependencies;
  readonly #options: PresignedUploadsOptions;
  readonly #stopping = new AbortController();
  /** Polls in flight, by dataset. */
  readonly #polls = new Map<string, Promise<void>>();
  /** The start of a dataset's next poll: the id of the last pending upload that the last poll reached. */
  readonly #reachedIds = new Map<string, string>();
  /** When `pollAll` polls a dataset next. */
  readonly #nextPollAt = new Map<string, Micros>();
  readonly #queue = new FairQueue(MAX_FINALIZATIONS, { maxUnitsOfKey: MAX_OF_ACCOUNT });
  /** Finalizations that are queued or in flight, by file id. */
  readonly #finalizations = new Map<string, Promise<void>>();

  constructor(dependencies: ServiceDependencies, options: PresignedUploadsOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
    // Each queued finalization has a listener.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Starts to list one page of a dataset's objects, unless that is in flight already. Returns at once. */
  poll(datasetId: string): void {
    if (this.#stopping.signal.aborted || this.#polls.has(datasetId)) return;
    const poll = this.#pollPage(datasetId).then(
      () => {},
      (error) => this.#options.onError(error, `polling the store for uploads of dataset ${datasetId} failed`),
    );
    const ended = poll.finally(() => this.#polls.delete(datasetId));
    this.#polls.set(datasetId, ended);
  }

  /**
   * Polls datasets that have pending presigned uploads and are due, of one account after the other: those that it does not reach
   * are due at its next call too. Rejects if the catalog or the store fails.
   */
  async pollAll(): Promise<void> {
    const now = this.#dependencies.now();
    const query = { now, expiringFrom: now - POLL_AFTER_EXPIRY };
    const pending = await this.#dependencies.catalog.datasetsWithPresignedUploads(query);
    const ids = new Set(pending.map(({ datasetId }) => datasetId));
    for (const id of this.#nextPollAt.keys()) if (!ids.has(id)) this.#nextPollAt.delete(id);
    const dueAt = ({ datasetId }: { datasetId: string }) => this.#nextPollAt.get(datasetId) ?? 0;
    // A dataset may be READY as soon as its replaced uploads are polled for.
    const due = pending.filter((dataset) => dataset.hasReplaced || dueAt(dataset) <= now);
    const sorted = inTurns(due.toSorted((a, b) => dueAt(a) - dueAt(b)));
    const endsAt = performance.now() + MAX_POLL_MS;
    await forEachConcurrent(sorted, MAX_CONCURRENT_LISTINGS, async ({ datasetId, reservedAt }) => {
      if (performance.now() >= endsAt) return;
      const interval = Math.min(Math.max((now - reservedAt) / 10, MIN_POLL_INTERVAL), MAX_POLL_INTERVAL);
      this.#nextPollAt.set(datasetId, now + interval);
      while (!this.#stopping.signal.aborted && (await this.#pollPage(datasetId)) === 'more');
    });
  }

  /** Aborts finalizations. Another instance, or the next process, finalizes those uploads. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down', 'The server is shutting down.'));
    await Promise.all([...this.#polls.values(), ...this.#finalizations.values()]);
  }

  /** Lists one page of a dataset's objects, from where the last poll ended, and queues the uploads in it. */
  async #pollPage(datasetId: string): Promise<'more' | 'all'> {
    const { catalog, now } = this.#dependencies;
    const after = this.#reachedIds.get(datasetId) ?? '';
    const sought = await catalog.presignedPage({ now: now(), datasetId, after, limit: IDS_PER_PAGE });
    const ids = sought.map(({ id }) => id);
    this.#reachedIds.delete(datasetId);
    const [first] = ids;
    if (first === undefined) return 'all';
    // Sorted, since keys sort in the order of their ids.
    const idsByKey = new Map(ids.map((id) => [blobKeyOf({ id, datasetId }), id]));
    // A listing begins after a key that need not exist. This prefix of the first pending key sorts before it.
    const from = blobKeyOf({ id: first, datasetId }).slice(0, -1);
    const { objects, next } = await this.#options.listObjects(datasetId, { after: from });
    const sizes = new Map(
      objects.flatMap(({ key, sizeBytes }) => {
        const id = idsByKey.get(key);
        return id === undefined ? [] : [[id, sizeBytes] as const];
      }),
    );
    if (sizes.size > 0) {
      const files = await catalog.pendingPresignedUploads({ now: now(), ids: [...sizes.keys()] });
      const [dataset] = await catalog.datasets({ ids: [datasetId] });
      // Of uploads of one name, the older one should be stored first.
      files.sort((a, b) => a.createdAt - b.createdAt);
      // Without a dataset, it was deleted meanwhile.
      if (dataset !== undefined) {
        for (const file of files) this.#enqueue(dataset.accountId, { file, sizeBytes: sizes.get(file.id) });
      }
    }
    const lastKey = objects.at(-1)?.key ?? '';
    const isListed = ({ id }: SoughtUpload) => next === undefined || blobKeyOf({ id, datasetId }) <= lastKey;
    await this.#retire(
      datasetId,
      sought.filter((upload) => isListed(upload) && !sizes.has(upload.id)),
    );
    const reached = ids.findLast((id) => blobKeyOf({ id, datasetId }) <= lastKey) ?? first;
    // There may be more ids after the last one, but no more objects after the last page.
    const isAll = reached === ids.at(-1) ? ids.length < IDS_PER_PAGE : next === undefined;
    if (isAll) return 'all';
    this.#reachedIds.set(datasetId, reached);
    const [longestAgo] = this.#reachedIds.keys();
    if (this.#reachedIds.size > MAX_REACHED && longestAgo !== undefined) this.#reachedIds.delete(longestAgo);
    return 'more';
  }

  /** Retires replaced uploads whose bytes the store did not have when it was polled. */
  async #retire(datasetId: string, missing: readonly SoughtUpload[]): Promise<void> {
    const { catalog, now } = this.#dependencies;
    const endedBy = now() - POLL_AFTER_EXPIRY;
    const due = missing.filter((one) => one.isReplaced && (!one.isRetired || one.expiresAt <= endedBy));
    for (let start = 0; start < due.length; start += FILES_PER_TRANSACTION) {
      const slice = due.slice(start, start + FILES_PER_TRANSACTION);
      const ids = new Set(slice.map(({ id }) => id));
      const filenames = slice.map(({ filename }) => filename);
      const change = { datasetId, filenames, now: now(), isActivity: false, isDurable: false };
      await catalog.change(change, (group) => retire(group, ids, { now: change.now, endedBy }));
    }
  }

  #enqueue(accountId: string, upload: ListedUpload): void {
    const { file } = upload;
    if (this.#finalizations.has(file.id)) return;
    const finalization = this.#queue
      .run(accountId, () => this.#finalize(upload), { signal: this.#stopping.signal })
      .catch((error) => this.#onFailure(error, file))
      .finally(() => this.#finalizations.delete(file.id));
    this.#finalizations.set(file.id, finalization);
  }

  #onFailure(error: unknown, file: PendingFile): void {
    if (this.#stopping.signal.aborted) return;
    if (error instanceof ServiceError && error.code === 'invalid_content')
      this.#options.onRejected(file, error.message);
    // `link_withdrawn`: the file was removed in the meantime.
    else if (!(error instanceof ServiceError && error.code === 'link_withdrawn')) {
      this.#options.onError(error, `finalizing ${file.filename} of dataset ${file.datasetId} failed`);
    }
  }

  async #finalize({ file, sizeBytes }: ListedUpload): Promise<void> {
    const { blobs } = this.#dependencies;
    const { signal } = this.#stopping;
    const lease = await UploadLease.acquire(this.#dependencies, file);
    if (lease === undefined) return;
    try {
      await lease.whileRenewing(async () => {
        const bytes = file.upload.expectedBytes ?? 0;
        const limit = { bytes, message: `The object of ${file.filename} is larger than ${bytes} bytes.` };
        const options = { limit, sizeBytes, accountId: lease.accountId, signal };
        const fetched = await blobs.fetch(blobKeyOf(file), options).catch((error) => {
          if (error instanceof ServiceError && error.code === 'too_large') return 'too large' as const;
          if (error instanceof BlobDamaged) return lease.reject(unreadable(file.filename, error));
          throw error;
        });
        if (fetched === undefined) return lease.release();
        if (fetched === 'too large' || fetched.sizeBytes !== bytes) return this.#rejectSize(lease, fetched);
        // The object is under its key already.
        const commit = () => fetched.discard().then(() => fetched);
        await lease.finalize({ ...fetched, commit }, signal);
        this.#options.onFinalized(file, bytes);
      });
    } catch (error) {
      await lease.release().catch(() => {});
      throw error;
    }
  }

  /** Rejects an object of the wrong size. Only a store that does not enforce the signed length accepts one. */
  async #rejectSize(lease: UploadLease, fetched: FetchedBlob | 'too large'): Promise<void> {
    const { filename, upload } = lease.file;
    if (fetched !== 'too large') await fetched.discard();
    const received = fetched === 'too large' ? 'more' : fetched.sizeBytes;
    const message = `The link of ${filename} was for ${upload.expectedBytes} bytes, but ${received} were uploaded. Upload it again.`;
    await lease.reject(errorIn(filename, 'WRONG_SIZE', message));
  }
}

/** Sorts what is of accounts: the first of each, the second of each, and so on. */
function inTurns<T extends { readonly accountId: string }>(ofAccounts: readonly T[]): T[] {
  const counts = new Map<string, number>();
  const placed = ofAccounts.map((one) => {
    const place = counts.get(one.accountId) ?? 0;
    counts.set(one.accountId, place + 1);
    return { one, place };
  });
  return placed.toSorted((a, b) => a.place - b.place).map(({ one }) => one);
}

function unreadable(filename: string, { reason }: BlobDamaged): ErrorProblem {
  const message = `The bytes of ${filename} can't be read as they were uploaded: the store ${reason}. Upload it again.`;
  return errorIn(filename, 'BYTES_LOST', message);
}
