import { type Micros, MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Job, JobKind, JobOwner, Jobs } from '../../storage/catalog/jobs.js';
import { LeaseLost, whileRenewing } from '../upload/upload-lease.js';

/** Deletes the job, or makes it due at a time. A job that can't be done now throws. */
export type JobEnd = 'done' | { readonly dueAt: Micros };

/** Does the jobs of one kind. A job may run again after a crash, and must do no harm twice. */
export interface JobHandler {
  readonly kind: JobKind;
  /** Jobs at a time; an account has at most half of them while others wait. */
  readonly atOnce: number;
  /** Jobs of an account at a time, so that another finds a free place; `atOnce` by default. */
  readonly ofAccount?: number | ((accountId: string) => number);
  /** A minute by default. */
  readonly longestRetry?: Micros;
  /** False for owners whose jobs another process does. */
  readonly isFor?: (accountId: string) => boolean;
  /** The signal fires when the process stops, or the lease is lost. */
  readonly run: (job: Job, signal: AbortSignal) => Promise<JobEnd>;
}

interface JobRunnerOptions {
  readonly jobs: Jobs;
  readonly handlers: readonly JobHandler[];
  readonly now: () => Micros;
  readonly newId: () => string;
  /** Without renewal; then another process takes over the job. */
  readonly leaseDuration: Micros;
  /** True if this process alone uses the database: all leases at its start belong to an earlier process. */
  readonly isAlone: boolean;
  /** A failed attempt will be retried. */
  readonly onError: (error: unknown, job: Pick<Job, 'kind' | 'key' | 'error'> | undefined) => void;
}

/** Jobs of other processes are found at the latest after this time. */
const MAX_PAUSE_MS = 5000;

/** Between a change and the search for due jobs, so that many changes cause few searches. */
const WAKE_DELAY_MS = 50;

/** The pause after a failure doubles, up to the longest: a store that is back is soon tried again. */
const FIRST_RETRY: Micros = 2 * MICROS_PER_SECOND;
const LONGEST_RETRY: Micros = 60 * MICROS_PER_SECOND;

interface Running {
  readonly kind: JobKind;
  readonly accountId: string;
  readonly ended: Promise<void>;
}

/** Claims due jobs, round robin over the accounts, and runs their handlers. */
export class JobRunner {
  readonly #options: JobRunnerOptions;
  readonly #running = new Set<Running>();
  readonly #stopping = new AbortController();
  /** The account whose job was claimed last, by kind. */
  readonly #lastOwner = new Map<JobKind, string>();
  #searching: Promise<void> | undefined;
  /** The next search, on the clock of `performance`. */
  #searchAt = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Present between two searches. */
  #endPause: (() => void) | undefined;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  /** Call it once. */
  start(): void {
    this.#searching = this.#search();
    this.#options.jobs.wake = () => this.#wake(WAKE_DELAY_MS);
  }

  /** Aborts jobs in flight, which the next process continues. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down', 'The server is shutting down.'));
    this.#wake();
    await this.#searching;
    await Promise.all([...this.#running].map(({ ended }) => ended));
  }

  /** Starts due jobs until the runner stops, one search at a time. */
  async #search(): Promise<void> {
    const { jobs, isAlone, now, onError } = this.#options;
    let isReleased = !isAlone;
    while (!this.#stopping.signal.aborted) {
      // Before the search, so that a call of `#wake` during the search causes another one.
      this.#searchAt = Number.POSITIVE_INFINITY;
      let pauseMs = MAX_PAUSE_MS;
      try {
        if (!isReleased) await jobs.releaseAll(now());
        isReleased = true;
        pauseMs = Math.min(Math.max(await this.#startDue(), 1), MAX_PAUSE_MS);
      } catch (error) {
        onError(error, undefined);
      }
      await new Promise<void>((resolve) => {
        this.#endPause = resolve;
        this.#wake(pauseMs);
      });
      this.#endPause = undefined;
    }
  }

  /** Searches after a delay at the latest, once no search is in flight. */
  #wake(delayMs = 0): void {
    this.#searchAt = Math.min(this.#searchAt, performance.now() + delayMs);
    if (this.#endPause === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#endPause, Math.max(0, this.#searchAt - performance.now()));
  }

  /** @returns milliseconds until the next job is due */
  async #startDue(): Promise<number> {
    const { jobs, handlers, now } = this.#options;
    const free = handlers.filter((handler) => this.inFlight(handler.kind) < handler.atOnce);
    if (free.length === 0) return MAX_PAUSE_MS;
    const owners = await jobs.owners(free.map(({ kind }) => kind));
    const at = now();
    for (const handler of free) {
      const { isFor = () => true } = handler;
      const due = owners.filter(
        ({ kind, accountId, dueAt }) => kind === handler.kind && isFor(accountId) && dueAt <= at,
      );
      await this.#startOf(handler, this.#roundRobin(due));
    }
    const next = Math.min(...owners.map(({ dueAt }) => dueAt).filter((dueAt) => dueAt > at));
    return (next - at) / 1000;
  }

  /** The owner after the last served is first. */
  #roundRobin(owners: readonly JobOwner[]): JobOwner[] {
    const [first] = owners;
    const last = (first && this.#lastOwner.get(first.kind)) ?? '';
    const sorted = owners.toSorted((a, b) => (a.accountId < b.accountId ? -1 : 1));
    return [...sorted.filter((owner) => owner.accountId > last), ...sorted.filter((owner) => owner.accountId <= last)];
  }

  /** Claims jobs in rounds, one of each owner, until none is due or the handler has its limit. */
  async #startOf(handler: JobHandler, owners: JobOwner[]): Promise<void> {
    const { kind, atOnce, ofAccount = atOnce } = handler;
    const mostOf = (accountId: string) => (typeof ofAccount === 'number' ? ofAccount : ofAccount(accountId));
    const most = owners.length > 1 ? Math.ceil(atOnce / 2) : atOnce;
    for (let due = owners; due.length > 0; ) {
      const next: JobOwner[] = [];
      for (const owner of due) {
        if (this.inFlight(kind) >= atOnce || this.#stopping.signal.aborted) return;
        if (this.inFlight(kind, owner.accountId) >= Math.min(most, mostOf(owner.accountId))) continue;
        const job = await this.#claim(owner);
        if (job === undefined) continue;
        this.#lastOwner.set(kind, owner.accountId);
        this.#start(handler, job);
        next.push(owner);
      }
      due = next;
    }
  }

  /** The jobs of a kind that this process runs, of all accounts or of one. */
  inFlight(kind: JobKind, accountId?: string): number {
    let count = 0;
    for (const job of this.#running) {
      if (job.kind === kind && (accountId === undefined || job.accountId === accountId)) count++;
    }
    return count;
  }

  #claim(owner: JobOwner): Promise<Job | undefined> {
    const { jobs, now, newId, leaseDuration } = this.#options;
    const at = now();
    return jobs.claim(owner, { now: at, until: at + leaseDuration, token: newId() });
  }

  #start(handler: JobHandler, job: Job): void {
    const { kind, accountId } = job;
    const running: Running = {
      kind,
      accountId,
      ended: this.#run(handler, job).finally(() => {
        this.#running.delete(running);
        // A long queue does not wait between two jobs.
        this.#wake();
      }),
    };
    this.#running.add(running);
  }

  async #run(handler: JobHandler, job: Job): Promise<void> {
    const { jobs, now, leaseDuration, onError } = this.#options;
    try {
      const renew = () => jobs.renew(job, now() + leaseDuration);
      const lease = { leaseDuration, renew, signal: this.#stopping.signal };
      const end = await whileRenewing(lease, (signal) => handler.run(job, signal));
      if (end === 'done') await jobs.finish(job, now());
      else await jobs.postpone(job, { now: now(), dueAt: end.dueAt });
    } catch (error) {
      if (error instanceof LeaseLost) return;
      await this.#endFailed(handler, job, error).catch((failure) => onError(failure, job));
    }
  }

  /** An interrupted job is due at once; a failed one after a pause. */
  async #endFailed({ longestRetry = LONGEST_RETRY }: JobHandler, job: Job, error: unknown): Promise<void> {
    const { jobs, now, onError } = this.#options;
    if (this.#stopping.signal.aborted) return jobs.postpone(job, { now: now(), dueAt: now() });
    onError(error, job);
    const pause = Math.min(FIRST_RETRY * 2 ** job.failures, longestRetry);
    await jobs.fail(job, { dueAt: now() + pause, error: error instanceof Error ? error.message : String(error) });
  }
}
