import type { ReceivedFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import type { ServiceDependencies } from '../dependencies.js';
import { runOnWake, type WakeableLoop } from '../run-on-wake.js';
import { LeaseLost } from '../while-renewing.js';
import { CheckLease } from './check-lease.js';
import { fetchIntact } from './fetch-intact.js';
import { inspectFile } from './inspect-file.js';

/** The longest time until a failed check is retried, and until the file of an instance that died is taken over. */
const MAX_PAUSE_MS = 30_000;

/** A file whose bytes were lost and that was not checked again for this long was removed, or another instance has checked it. */
const FORGET_LOST_MS = 3_600_000;

export interface BackgroundChecksOptions {
  /** True if this process alone uses the catalog: then every other lease in it is from an earlier process. */
  readonly isAlone: boolean;
  /** Files of an account that are checked at once. One more is, of another account, so that it has its turn. */
  readonly ofAccount: number;
  readonly onChecked: (file: ReceivedFile, inspection: Inspection) => void;
  /** Reports a failure that will be retried. */
  readonly onError: (error: unknown, failure: string) => void;
}

/**
 * Checks received files: inspects them, decodes the frames of clips, and stores or rejects them. Every instance looks for files without a valid
 * lease: at its start, when it has received one, and periodically for those of instances that died.
 */
export class BackgroundChecks {
  readonly #dependencies: ServiceDependencies;
  readonly #options: BackgroundChecksOptions;
  readonly #stopping = new AbortController();
  /** Checks in flight, by file id. */
  readonly #checks = new Map<string, { readonly accountId: string; readonly ended: Promise<void> }>();
  /** When a check of each account began last, as `performance.now` has it. */
  readonly #lastStartedAt = new Map<string, number>();
  /** Files whose check has failed, by id, with the time from which it is retried, as `performance.now` has it. */
  readonly #retryAt = new Map<string, number>();
  /** Files whose bytes were lost when they were last read, by id, with that time. */
  readonly #lostAt = new Map<string, number>();
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
    await Promise.all([...this.#checks.values()].map(({ ended }) => ended));
  }

  async #startChecks(retryPauseMs: number): Promise<void> {
    const now = performance.now();
    for (const [id, at] of this.#retryAt) if (at <= now) this.#retryAt.delete(id);
    for (const [id, at] of this.#lostAt) if (at <= now - FORGET_LOST_MS) this.#lostAt.delete(id);
    const expiredBy = this.#options.isAlone ? Number.MAX_SAFE_INTEGER : this.#dependencies.now();
    // Few, since each holds a copy of a remote file.
    while (this.#checks.size <= this.#options.ofAccount) {
      const next = await this.#next(expiredBy);
      if (next === undefined || this.#stopping.signal.aborted) return;
      const { file, accountId } = next;
      this.#lastStartedAt.set(accountId, performance.now());
      const ended = this.#check(file, expiredBy)
        .catch((error) => {
          if (this.#stopping.signal.aborted || error instanceof LeaseLost) return;
          this.#retryAt.set(file.id, performance.now() + retryPauseMs);
          this.#options.onError(error, `checking ${file.filename} of dataset ${file.datasetId} failed`);
        })
        .finally(() => {
          this.#checks.delete(file.id);
          this.wake();
        });
      this.#checks.set(file.id, { accountId, ended });
    }
  }

  async #next(expiredBy: number): Promise<{ file: ReceivedFile; accountId: string } | undefined> {
    const { receivedFiles } = this.#dependencies.catalog;
    const limit = 1 + this.#checks.size + this.#retryAt.size;
    const inFlight = (id: string) => [...this.#checks.values()].filter(({ accountId }) => accountId === id).length;
    const accountIds = await receivedFiles.accounts();
    for (const id of this.#lastStartedAt.keys()) if (!accountIds.includes(id)) this.#lastStartedAt.delete(id);
    const lastStartedAt = (id: string) => this.#lastStartedAt.get(id) ?? 0;
    for (const accountId of accountIds.toSorted((a, b) => lastStartedAt(a) - lastStartedAt(b))) {
      if (inFlight(accountId) >= this.#options.ofAccount) continue;
      const files = await receivedFiles.ofAccount({ accountId, until: expiredBy, limit });
      const file = files.find(({ id }) => !this.#checks.has(id) && !this.#retryAt.has(id));
      if (file !== undefined) return { file, accountId };
    }
    return undefined;
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

  async #inspect({ file, accountId, role }: CheckLease, signal: AbortSignal): Promise<Inspection> {
    const { filename, upload } = file;
    const fetched = await fetchIntact(this.#dependencies.blobs, file, { accountId, signal });
    const isLost = 'problem' in fetched;
    // The bytes of a rejected file are deleted, so that one wrong answer of the store must not be enough.
    const isLostAgain = this.#lostAt.delete(file.id);
    if (isLost && isLostAgain) return { ok: false, problem: fetched.problem };
    if (isLost) {
      this.#lostAt.set(file.id, performance.now());
      throw new ServiceError('unavailable', `${fetched.problem.message} It is read once more before that is certain.`);
    }
    const { content, discard } = fetched.blob;
    try {
      const toInspect = { filename, sizeBytes: upload.sizeBytes, content };
      const options = { accountId, role, isBackground: true, signal };
      return (await inspectFile(this.#dependencies, toInspect, options)).inspection;
    } finally {
      await discard();
    }
  }
}
