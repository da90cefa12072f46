import type { ReceivedFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import type { ServiceDependencies } from '../dependencies.js';
import { CheckLease } from './check-lease.js';
import { fetchIntact } from './fetch-intact.js';
import { runOnWake, type WakeableLoop } from '../run-on-wake.js';
import { LeaseLost } from '../while-renewing.js';

/** Few, since each holds a copy of a remote file. The pool decides how many decoders run. */
const MAX_CONCURRENT_CHECKS = 2;

/** The longest time until a failed check is retried, and until the file of an instance that died is taken over. */
const MAX_PAUSE_MS = 30_000;

export interface BackgroundChecksOptions {
  /** True if this process alone uses the catalog: then every other lease in it is from an earlier process. */
  readonly isAlone: boolean;
  readonly onChecked: (file: ReceivedFile, inspection: Inspection) => void;
  /** Reports a failure that will be retried. */
  readonly onError: (error: unknown, failure: string) => void;
}

/**
 * Checks received files: decodes their frames, and stores or rejects them. Every instance looks for files without a valid
 * lease: at its start, when it has received one, and periodically for those of instances that died.
 */
export class BackgroundChecks {
  readonly #dependencies: ServiceDependencies;
  readonly #options: BackgroundChecksOptions;
  readonly #stopping = new AbortController();
  /** Checks in flight, by file id. */
  readonly #checks = new Map<string, Promise<void>>();
  /** Files whose check has failed, by id, with the time in milliseconds since 1970 from which it is retried. */
  readonly #retryAt = new Map<string, number>();
  /** Ids of files whose bytes were lost when they were last read. */
  readonly #lost = new Set<string>();
  #loop: WakeableLoop | undefined;

  constructor(dependencies: ServiceDependencies, options: BackgroundChecksOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  start(): void {
    const pauseMs = Math.min(MAX_PAUSE_MS, this.#dependencies.rules.leaseDuration / 1000 / 2);
    const onError = (error: unknown) => this.#options.onError(error, 'looking for received files failed');
    this.#loop = runOnWake(() => this.#startChecks(pauseMs), { pauseMs, onError });
  }

  /** Looks for received files soon, and returns at once. */
  wake(): void {
    this.#loop?.wake();
  }

  /** Aborts checks and releases their leases. Another instance, or the next process, continues with those files. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down', 'The server is shutting down.'));
    await this.#loop?.stop();
    await Promise.all(this.#checks.values());
  }

  async #startChecks(retryPauseMs: number): Promise<void> {
    const expiredBy = this.#options.isAlone ? Number.MAX_SAFE_INTEGER : this.#dependencies.now();
    for (const [id, at] of this.#retryAt) if (at <= Date.now()) this.#retryAt.delete(id);
    if (this.#checks.size >= MAX_CONCURRENT_CHECKS) return;
    const limit = MAX_CONCURRENT_CHECKS + this.#checks.size + this.#retryAt.size;
    const files = await this.#dependencies.catalog.receivedFiles({ until: expiredBy, limit });
    if (files.length < limit) {
      // The others were removed, or are checked by another instance.
      const waiting = new Set(files.map(({ id }) => id));
      for (const id of this.#lost) if (!waiting.has(id) && !this.#checks.has(id)) this.#lost.delete(id);
    }
    for (const file of files) {
      if (this.#checks.size >= MAX_CONCURRENT_CHECKS || this.#stopping.signal.aborted) return;
      if (this.#checks.has(file.id) || this.#retryAt.has(file.id)) continue;
      const check = this.#check(file, expiredBy)
        .catch((error) => {
          if (this.#stopping.signal.aborted || error instanceof LeaseLost) return;
          this.#retryAt.set(file.id, Date.now() + retryPauseMs);
          this.#options.onError(error, `checking ${file.filename} of dataset ${file.datasetId} failed`);
        })
        .finally(() => {
          this.#checks.delete(file.id);
          this.wake();
        });
      this.#checks.set(file.id, check);
    }
  }

  async #check(file: ReceivedFile, expiredBy: number): Promise<void> {
    const lease = await CheckLease.acquire(this.#dependencies, file, { expiredBy });
    if (lease === undefined) return;
    try {
      await lease.whileRenewing(this.#stopping.signal, async (signal) => {
        const inspection = await this.#inspect(lease, signal);
        if (await lease.finish(inspection)) this.#options.onChecked(file, inspection);
      });
    } catch (error) {
      await lease.release().catch(() => {});
      throw error;
    }
  }

  async #inspect({ file, accountId }: CheckLease, signal: AbortSignal): Promise<Inspection> {
    const { blobs, decodeClip } = this.#dependencies;
    const { filename, upload } = file;
    const { sizeBytes, contentType, facts, warnings } = upload;
    const proved = { ok: true, contentType, facts, warnings } as const;
    const fetched = await fetchIntact(blobs, file, signal);
    const isLost = 'problem' in fetched;
    // The bytes of a rejected file are deleted, so that one wrong answer of the store must not be enough.
    const isLostAgain = this.#lost.delete(file.id);
    if (isLost && isLostAgain) return { ok: false, problem: fetched.problem };
    if (isLost) {
      this.#lost.add(file.id);
      throw new ServiceError('unavailable', `${fetched.problem.message} It is read once more before that is certain.`);
    }
    const { content, discard } = fetched.blob;
    try {
      // An earlier process had a decoder, or space for the bytes: the file keeps the warning that its frames are not proved.
      if (decodeClip === undefined || !('path' in content)) return proved;
      const clip = { path: content.path, filename, sizeBytes, inspection: proved };
      return await decodeClip(clip, { accountId, isBackground: true, signal });
    } finally {
      await discard();
    }
  }
}
