import { recordRecheck } from '../../dataset/check-transitions.js';
import type { Role, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import type { AcquiredRecheck, Recheck, RecheckHolder, Rechecks } from '../../storage/catalog/background/rechecks.js';
import type { ServiceDependencies } from '../dependencies.js';
import { runOnWake, type WakeableLoop } from '../run-on-wake.js';
import { LeaseLost, whileRenewing } from '../while-renewing.js';
import { fetchIntact } from './fetch-intact.js';
import { inspectFile } from './inspect-file.js';

/** Files read from the catalog at a time. */
const PAGE_FILES = 100;

/** The least time between two records of progress. A crash repeats the files since the last one. */
const SAVE_INTERVAL_MS = 1000;

/** After this time, and the file in progress, another account has its turn. */
const TURN_MS = 10_000;

/** The longest pause after a failure, and until the recheck of an instance that died is taken over. */
const MAX_PAUSE_MS = 30_000;

export interface BackgroundRechecksOptions {
  readonly rechecks: Rechecks;
  /** As that of `BackgroundChecks`. */
  readonly isAlone: boolean;
  /** Only tests set it. */
  readonly turnMs?: number;
  readonly onFinished: (recheck: Recheck) => void;
  /** Reports a failure that will be retried. */
  readonly onError: (error: unknown, failure: string) => void;
}

interface CheckOptions {
  readonly accountId: string;
  /** Of the dataset. */
  readonly role: Role;
  readonly signal: AbortSignal;
}

interface RecheckOptions extends Omit<CheckOptions, 'role'> {
  readonly holder: RecheckHolder;
  readonly leaseUntil: () => number;
  /** When the turn of the account ends, as `performance.now` has it. */
  readonly endsAt: number;
}

/**
 * Inspects the stored files of datasets again, one file at a time, so that uploads continue; accounts take turns. A lease on each
 * recheck decides which instance continues it. After a restart it continues with the next file.
 */
export class BackgroundRechecks {
  readonly #dependencies: ServiceDependencies;
  readonly #options: BackgroundRechecksOptions;
  readonly #stopping = new AbortController();
  #loop: WakeableLoop | undefined;

  constructor(dependencies: ServiceDependencies, options: BackgroundRechecksOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  start(): void {
    const pauseMs = Math.min(MAX_PAUSE_MS, this.#dependencies.rules.leaseDuration / 1000 / 2);
    const onError = (error: unknown) => this.#options.onError(error, 'a recheck failed');
    this.#loop = runOnWake(() => this.#recheckAll(), { pauseMs, onError });
  }

  /** Looks for unfinished rechecks soon, and returns at once. */
  wake(): void {
    this.#loop?.wake();
  }

  /** Aborts the check in flight and releases the lease. Another instance, or the next process, continues. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down', 'The server is shutting down.'));
    await this.#loop?.stop();
  }

  async #recheckAll(): Promise<void> {
    const failed = new Set<string>();
    /** The accounts that were served in this run, the last one at the end. */
    let served: string[] = [];
    const hadTurn = async () => {
      const accountIds = await this.#options.rechecks.accounts(this.#expiredBy());
      for (const id of accountIds.toSorted((a, b) => served.indexOf(a) - served.indexOf(b))) {
        served = [...served.filter((other) => other !== id), id];
        if (await this.#takeTurn(id, failed)) return true;
      }
      return false;
    };
    while (!this.#stopping.signal.aborted && (await hadTurn())) {}
  }

  /**
   * Rechecks datasets of an account until its turn is over, or all are done.
   *
   * @param failed ids of datasets that are left out, with those that fail
   * @returns false if all are left out
   */
  async #takeTurn(accountId: string, failed: Set<string>): Promise<boolean> {
    const { signal } = this.#stopping;
    const endsAt = performance.now() + (this.#options.turnMs ?? TURN_MS);
    for (let hadOne = false; !hadOne || performance.now() < endsAt; hadOne = true) {
      const expiredBy = this.#expiredBy();
      const query = { accountId, until: expiredBy, limit: failed.size + 1 };
      const found = await this.#options.rechecks.datasetsOfAccount(query);
      const datasetId = found.find((id) => !failed.has(id));
      if (datasetId === undefined || signal.aborted) return hadOne;
      try {
        // Another instance may have acquired it first. It is listed again if it is released.
        if (!(await this.#recheck({ datasetId, accountId }, { expiredBy, endsAt }))) failed.add(datasetId);
      } catch (error) {
        if (signal.aborted) return true;
        // Another instance has it, or it was restarted, as after a change of the role.
        if (error instanceof LeaseLost) continue;
        failed.add(datasetId);
        this.#options.onError(error, `the recheck of dataset ${datasetId} paused`);
      }
    }
    return true;
  }

  #expiredBy(): number {
    return this.#options.isAlone ? Number.MAX_SAFE_INTEGER : this.#dependencies.now();
  }

  /** @returns false if another instance has the lease */
  async #recheck(
    { datasetId, accountId }: { datasetId: string; accountId: string },
    { expiredBy, endsAt }: { expiredBy: number; endsAt: number },
  ): Promise<boolean> {
    const { now, newId, rules } = this.#dependencies;
    const { rechecks } = this.#options;
    const holder = { datasetId, token: newId() };
    const leaseUntil = () => now() + rules.leaseDuration;
    const recheck = await rechecks.acquire(holder, { expiredBy, until: leaseUntil() });
    if (recheck === undefined) return false;
    const renew = () => rechecks.save(holder, { leaseUntil: leaseUntil() });
    const lease = { leaseDuration: rules.leaseDuration, renew, signal: this.#stopping.signal };
    await whileRenewing(lease, (signal) =>
      this.#checkFiles(recheck, { holder, accountId, leaseUntil, endsAt, signal }),
    );
    return true;
  }

  async #checkFiles(
    recheck: AcquiredRecheck,
    { holder, leaseUntil, endsAt, ...options }: RecheckOptions,
  ): Promise<void> {
    const { rechecks, onFinished } = this.#options;
    const { role } = recheck;
    let { checked, afterId } = recheck;
    let savedAt = performance.now();
    try {
      for (;;) {
        const files = await rechecks.nextFiles({ ...recheck, afterId }, PAGE_FILES);
        for (const file of files) {
          await this.#checkFile(file, { ...options, role });
          checked++;
          afterId = file.id;
          if (performance.now() >= endsAt) {
            await rechecks.save(holder, { checked, afterId, leaseUntil: null });
            return;
          }
          if (performance.now() - savedAt < SAVE_INTERVAL_MS) continue;
          savedAt = performance.now();
          if (!(await rechecks.save(holder, { checked, afterId, leaseUntil: leaseUntil() }))) throw new LeaseLost();
        }
        if (files.length < PAGE_FILES) break;
      }
    } catch (error) {
      await rechecks.save(holder, { checked, afterId, leaseUntil: null }).catch(() => {});
      throw error;
    }
    const finishedAt = this.#dependencies.now();
    if (await rechecks.save(holder, { checked, afterId, finishedAt, leaseUntil: null })) {
      onFinished({ ...recheck, checked, afterId, finishedAt });
    }
  }

  async #checkFile(file: StoredFile, options: CheckOptions): Promise<void> {
    const { catalog, now } = this.#dependencies;
    const { id, datasetId, filename } = file;
    // A page may be old: the files before it can have taken hours.
    if ((await catalog.file(id))?.upload.state !== 'stored') return;
    const found = await this.#inspect(file, options);
    options.signal.throwIfAborted();
    const change = { datasetId, filenames: [filename], now: now(), isActivity: false, inspectedAs: options.role };
    await catalog.change(change, (group) => recordRecheck(group, id, found));
  }

  async #inspect(file: StoredFile, options: CheckOptions): Promise<Inspection> {
    const { filename, upload } = file;
    const fetched = await fetchIntact(this.#dependencies.blobs, file, options);
    if ('problem' in fetched) return { ok: false, problem: fetched.problem };
    const { content, discard } = fetched.blob;
    try {
      const toInspect = { filename, sizeBytes: upload.sizeBytes, content };
      const { inspection } = await inspectFile(this.#dependencies, toInspect, {
        ...options,
        isBackground: true,
      });
      return inspection;
    } finally {
      await discard();
    }
  }
}
