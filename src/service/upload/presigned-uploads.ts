import type { Micros, PendingFile } from '../../dataset/dataset.js';
import { MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { errorIn } from '../../dataset/problems.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { blobKeyOf, type FetchedBlob, type Presigning } from '../../storage/blobs/blobs.js';
import type { ServiceDependencies } from '../dependencies.js';
import { UploadLease } from './upload-lease.js';

/** Objects being settled at once: each is read whole and decoded, so more would only wait for each other. */
const SETTLING_AT_ONCE = 4;

/** Datasets being listed at once where all are looked at. */
const LISTING_AT_ONCE = 4;

/** Nobody asks any more whether an upload has come that long after its link has run out, unless somebody asks for its dataset. */
const GIVEN_UP_AFTER: Micros = 3600 * MICROS_PER_SECOND;

/** A dataset is looked at again after a tenth of the time that it has waited, and within these bounds. */
const SHORTEST_PAUSE: Micros = 2 * MICROS_PER_SECOND;
const LONGEST_PAUSE: Micros = 60 * MICROS_PER_SECOND;

export interface PresignedUploadsOptions {
  readonly presigning: Presigning;
  readonly onFinalized: (sizeBytes: number) => void;
  readonly onRejected: () => void;
  /** What went wrong and will be tried again. */
  readonly onError: (error: unknown, what: string) => void;
}

/**
 * Notices what clients have brought to the store by presigned links, and settles it. The store tells nobody, so it is asked:
 * about a dataset whenever somebody polls it, and about all of them in the background. Every instance may notice an upload;
 * the lease on its promise decides which one settles it, and another takes over where that one dies.
 */
export class PresignedUploads {
  readonly #dependencies: ServiceDependencies;
  readonly #options: PresignedUploadsOptions;
  readonly #stopping = new AbortController();
  readonly #looks = new Map<string, Promise<void>>();
  /** Where the next look at a dataset begins: the key of the first promise that the last one has not come to. */
  readonly #nextKeys = new Map<string, string>();
  /** When a dataset is due in the background. */
  readonly #due = new Map<string, Micros>();
  /** Found and not settled yet, by file id. */
  readonly #found = new Set<string>();
  readonly #waiting: PendingFile[] = [];
  readonly #settling = new Set<Promise<void>>();

  constructor(dependencies: ServiceDependencies, options: PresignedUploadsOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  /** Asks the store about a dataset that somebody polls: one request at the most, for which the poll does not wait. */
  poll(datasetId: string): void {
    if (this.#stopping.signal.aborted || this.#looks.has(datasetId)) return;
    const look = this.#lookOnce(datasetId).then(
      () => {},
      (error) => this.#options.onError(error, `the store could not be asked about dataset ${datasetId}`),
    );
    this.#looks.set(
      datasetId,
      look.finally(() => this.#looks.delete(datasetId)),
    );
  }

  /** Asks about every dataset that waits for uploads and is due. Rejects where the catalog or the store does not answer. */
  async pollAll(): Promise<void> {
    const now = this.#dependencies.now();
    const waiting = await this.#dependencies.catalog.datasetsWithPresignedUploads({
      now,
      expiringFrom: now - GIVEN_UP_AFTER,
    });
    const ids = new Set(waiting.map(({ datasetId }) => datasetId));
    for (const id of this.#due.keys()) if (!ids.has(id)) this.#due.delete(id);
    const due = waiting.filter(({ datasetId }) => (this.#due.get(datasetId) ?? 0) <= now);
    await forEachConcurrent(due, LISTING_AT_ONCE, async ({ datasetId, promisedAt }) => {
      const pause = Math.min(Math.max((now - promisedAt) / 10, SHORTEST_PAUSE), LONGEST_PAUSE);
      this.#due.set(datasetId, now + pause);
      while (!this.#stopping.signal.aborted && (await this.#lookOnce(datasetId)) === 'more');
    });
  }

  /** Breaks off what is being settled, which is open then for another instance, or for this one when it comes back. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down', 'The server is shutting down.'));
    this.#waiting.length = 0;
    await Promise.all([...this.#looks.values(), ...this.#settling]);
  }

  /** One page of a dataset's objects, from where the last look has ended. */
  async #lookOnce(datasetId: string): Promise<'more' | 'all'> {
    const { catalog, now } = this.#dependencies;
    const keyOf = (id: string) => blobKeyOf({ id, datasetId });
    const awaited = new Map(
      (await catalog.pendingPresignedIds({ now: now(), datasetId })).map((id) => [keyOf(id), id]),
    );
    // Of ids that sort as their keys do.
    const keys = [...awaited.keys()];
    const from = this.#nextKeys.get(datasetId) ?? '';
    const first = keys.find((key) => key >= from) ?? keys[0];
    this.#nextKeys.delete(datasetId);
    if (first === undefined) return 'all';
    // The listing begins behind a key; this one is just before the first that is of interest.
    const page = await this.#options.presigning.listObjects(datasetId, { after: first.slice(0, -1) });
    const ids = page.uploads.flatMap(({ key }) => awaited.get(key) ?? []);
    if (ids.length > 0) for (const file of await catalog.pendingPresignedUploads({ now: now(), ids })) this.#find(file);
    const { next } = page;
    const nextKey = next === undefined ? undefined : keys.find((key) => key > next);
    if (nextKey === undefined) return 'all';
    this.#nextKeys.set(datasetId, nextKey);
    return 'more';
  }

  #find(file: PendingFile): void {
    if (this.#found.has(file.id)) return;
    this.#found.add(file.id);
    this.#waiting.push(file);
    this.#settleNext();
  }

  #settleNext(): void {
    while (this.#settling.size < SETTLING_AT_ONCE && !this.#stopping.signal.aborted) {
      const file = this.#waiting.shift();
      if (file === undefined) return;
      const settling: Promise<void> = this.#settle(file)
        .catch((error) => this.#failed(error, file))
        .finally(() => {
          this.#found.delete(file.id);
          this.#settling.delete(settling);
          this.#settleNext();
        });
      this.#settling.add(settling);
    }
  }

  #failed(error: unknown, file: PendingFile): void {
    if (this.#stopping.signal.aborted) return;
    if (error instanceof ServiceError && error.code === 'invalid_content') this.#options.onRejected();
    // Removed while it was being looked at.
    else if (!(error instanceof ServiceError && error.code === 'link_withdrawn')) {
      this.#options.onError(error, `${file.filename} of dataset ${file.datasetId} could not be settled`);
    }
  }

  async #settle(file: PendingFile): Promise<void> {
    const { blobs } = this.#dependencies;
    const { signal } = this.#stopping;
    const lease = await UploadLease.acquire(this.#dependencies, file);
    if (lease === undefined) return;
    try {
      await lease.whileRenewing(async () => {
        const bytes = file.upload.expectedBytes ?? 0;
        const limit = { bytes, message: `More than the promised ${bytes} bytes of ${file.filename} are in the store.` };
        const fetched = await blobs.fetch(blobKeyOf(file), { limit, signal }).catch((error) => {
          if (error instanceof ServiceError && error.code === 'too_large') return 'too large' as const;
          throw error;
        });
        if (fetched === undefined) return lease.release();
        if (fetched === 'too large' || fetched.sizeBytes !== bytes) return this.#refuseSize(lease, fetched);
        // It lies under its key already.
        const commit = () => fetched.discard().then(() => fetched);
        await lease.finalize({ ...fetched, commit }, signal);
        this.#options.onFinalized(bytes);
      });
    } catch (error) {
      await lease.release().catch(() => {});
      throw error;
    }
  }

  /** Only a store that does not check what a link has signed lets it come to this. */
  async #refuseSize(lease: UploadLease, fetched: FetchedBlob | 'too large'): Promise<void> {
    const { filename, upload } = lease.file;
    if (fetched !== 'too large') await fetched.discard();
    const arrived = fetched === 'too large' ? 'more arrived' : `${fetched.sizeBytes} arrived`;
    const message = `${filename} was promised with ${upload.expectedBytes} bytes, and ${arrived}. Upload it again.`;
    await lease.reject(errorIn(filename, 'WRONG_SIZE', message));
  }
}
