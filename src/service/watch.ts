import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { withAnySignal } from '../abort-signals.js';
import type { Dataset, Micros, Status, StatusRules } from '../dataset/dataset.js';
import { datasetStatusOf, nextStatusChangeOf } from '../dataset/pairs/links.js';
import { type DatasetKey, datasetNotFound, type DatasetSummary } from './datasets.js';
import type { ServiceDependencies } from './dependencies.js';

/** The longest delay of a Node timer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** With more names, a reader reads all files. */
const MAX_CHANGED_NAMES = 200;

/** Between two rounds, so that thousands of uploads cause a few events a second. */
export const WATCH_PAUSE: Micros = 250_000;

/** The datasets of one query. */
const MAX_BATCH_DATASETS = 500;

/** The most remembered ids of other accounts' datasets, which are not read again. */
const MAX_FOREIGN_IDS = 10_000;

type WatchDependencies = Pick<ServiceDependencies, 'catalog' | 'now'> & { readonly rules: StatusRules };

interface Changes {
  /** Files that may have changed; `undefined` if any may. */
  names: Set<string> | undefined;
  /** Runs of captions whose progress changed. */
  readonly runs: Set<string>;
}

/** A dataset as it was last seen. */
interface Seen {
  readonly fingerprint: string;
  /** When time may change its status. */
  nextChange: Micros | undefined;
}

interface Following {
  /** Whether changes of a dataset, or of one of its runs of captions, count. */
  readonly isFollowed: (id: string, captionRun: string | undefined) => boolean;
  /** Changes may have been missed. */
  readonly onGap: () => void;
}

/** The datasets that a watch has seen, and those that may have changed since. A change of a linked dataset is one of its target. */
class Watch {
  readonly #dependencies: WatchDependencies;
  readonly seen = new Map<string, Seen>();
  /** Of the datasets that link to others: an account may have thousands that don't. */
  readonly #linkedIds = new Map<string, readonly string[]>();
  readonly #changed = new Map<string, Changes>();
  #wake = new AbortController();
  readonly stop: () => void;

  constructor(dependencies: WatchDependencies, { isFollowed, onGap }: Following) {
    this.#dependencies = dependencies;
    this.stop = dependencies.catalog.changes.onAnyChange((id, filenames, captionRun) => {
      if (!isFollowed(id, captionRun)) return;
      if (captionRun === undefined) this.add(id, filenames);
      else this.#changesOf(id).runs.add(captionRun);
    }, onGap);
  }

  linkedIdsOf(id: string): readonly string[] {
    return this.#linkedIds.get(id) ?? [];
  }

  /** @returns whether the dataset was seen */
  forget(id: string): boolean {
    this.#linkedIds.delete(id);
    return this.seen.delete(id);
  }

  /** @param filenames the changed files; by default any may have changed */
  add(id: string, filenames?: readonly string[]): void {
    const changes = this.#changesOf(id);
    for (const name of filenames ?? []) changes.names?.add(name);
    if (filenames === undefined || (changes.names?.size ?? 0) > MAX_CHANGED_NAMES) changes.names = undefined;
    for (const [targetId, linkedIds] of this.#linkedIds) if (linkedIds.includes(id)) this.#changesOf(targetId);
  }

  #changesOf(id: string): Changes {
    const changes = this.#changed.get(id) ?? { names: new Set(), runs: new Set() };
    this.#changed.set(id, changes);
    this.#wake.abort();
    return changes;
  }

  /** Waits for changes, also by time, and takes at most `limit` of them. Returns early when the signal fires. */
  async next(signal: AbortSignal, limit = Number.POSITIVE_INFINITY): Promise<Map<string, Changes>> {
    for (;;) {
      const at = this.#dependencies.now();
      let earliest = Number.POSITIVE_INFINITY;
      for (const [id, seen] of this.seen) {
        if ((seen.nextChange ?? earliest) <= at) {
          seen.nextChange = undefined;
          this.#changesOf(id);
        }
        earliest = Math.min(earliest, seen.nextChange ?? earliest);
      }
      if (this.#changed.size > 0 || signal.aborted) break;
      this.#wake = new AbortController();
      await withAnySignal([signal, this.#wake.signal], (either) =>
        waitUnlessAborted(earliest - at, { signal: either }),
      );
    }
    const taken = new Map([...this.#changed].slice(0, limit));
    for (const id of taken.keys()) this.#changed.delete(id);
    return taken;
  }

  /** @returns its status, and whether the dataset differs from when it was last seen */
  see(dataset: Dataset): { status: Status; differs: boolean } {
    const { id, links } = dataset;
    const { now, rules } = this.#dependencies;
    // The clock is read once for both, so that no change falls between two readings.
    const at = now();
    const status = datasetStatusOf(dataset, at, rules);
    const fingerprint = fingerprintOf(dataset, status);
    const differs = fingerprint !== this.seen.get(id)?.fingerprint;
    this.seen.set(id, { fingerprint, nextChange: nextStatusChangeOf(dataset, at, rules) });
    const linkedIds = links.map((link) => link.dataset.id);
    const added = linkedIds.filter((linkedId) => !this.linkedIdsOf(id).includes(linkedId));
    if (linkedIds.length > 0) this.#linkedIds.set(id, linkedIds);
    else this.#linkedIds.delete(id);
    // A linked dataset that is new may have changed before.
    for (const linkedId of added) this.#changesOf(linkedId).names = undefined;
    if (added.length > 0) this.#changesOf(id);
    return { status, differs };
  }
}

/** Changes with a dataset or one that it links to. The renewal of a lease changes only `pendingUntil`, which is left out. */
function fingerprintOf({ name, role, counts, links }: Dataset, status: Status): string {
  const linked = links.map(({ slot, dataset }) => [slot, dataset.id, fingerprintOfOne(dataset)]);
  return JSON.stringify([status, fingerprintOfOne({ name, role, counts }), linked]);
}

function fingerprintOfOne({ name, role, counts }: Pick<Dataset, 'name' | 'role' | 'counts'>) {
  return { name, role, ...counts, pendingUntil: 0 };
}

/** Waits for at least 1 ms, and returns early when the signal fires. */
export async function waitUnlessAborted(duration: Micros, { signal }: { signal: AbortSignal }): Promise<void> {
  await wait(Math.min(Math.max(duration / 1000, 1), MAX_TIMEOUT_MS), undefined, { signal }).catch(() => {});
}

export interface DatasetChange extends DatasetSummary {
  /** Files that may have changed; `undefined` if any may. */
  readonly filenames: readonly string[] | undefined;
  /** Runs of captions whose progress changed. */
  readonly captionRuns: readonly string[];
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Also yields changes of linked datasets. */
  readonly withLinked?: boolean;
  /** Also yields at progress of its runs of captions. */
  readonly withCaptionRuns?: boolean;
}

/**
 * Yields a dataset at once and after each change of it, of a linked dataset, or by time. Changes while the caller handles one are
 * combined. Ends when the dataset is deleted, or when the signal fires.
 *
 * @throws ServiceError `dataset_not_found` if there is none at the start
 */
export async function* watchDataset(
  dependencies: WatchDependencies,
  key: DatasetKey,
  { signal, withLinked = false, withCaptionRuns = false }: WatchOptions,
): AsyncGenerator<DatasetChange> {
  const watch: Watch = new Watch(dependencies, {
    isFollowed: (id, captionRun) => {
      if (captionRun !== undefined) return withCaptionRuns && id === key.id;
      return id === key.id || watch.linkedIdsOf(key.id).includes(id);
    },
    onGap: () => {
      for (const id of [key.id, ...watch.linkedIdsOf(key.id)]) watch.add(id);
    },
  });
  watch.add(key.id);
  try {
    for (;;) {
      // A change during the read is reported with the next one.
      const changed = await watch.next(signal);
      if (signal.aborted) return;
      const dataset = await dependencies.catalog.dataset(key);
      if (dataset === undefined && !watch.seen.has(key.id)) throw datasetNotFound(key.id);
      if (dataset === undefined) return;
      const all = [dataset, ...(withLinked ? dataset.links.map((link) => link.dataset) : [])];
      for (const each of all) {
        const changes = changed.get(each.id);
        if (changes === undefined) continue;
        const { names, runs } = changes;
        const { status, differs } = watch.see(each);
        if (!differs && names?.size === 0 && runs.size === 0) continue;
        yield { dataset: each, status, filenames: names && [...names], captionRuns: [...runs] };
      }
    }
  } finally {
    watch.stop();
  }
}

export type AccountEvent =
  /** No later change is missed. */
  | { readonly type: 'open' }
  | { readonly type: 'dataset'; readonly summary: DatasetSummary }
  | { readonly type: 'deleted'; readonly id: string };

/**
 * Yields `open`, then each dataset of an account after a change of it, of a linked dataset, or by time. Ends when the signal
 * fires, or when changes may have been missed.
 */
export async function* watchAccount(
  dependencies: WatchDependencies,
  accountId: string,
  signal: AbortSignal,
): AsyncGenerator<AccountEvent> {
  const { catalog } = dependencies;
  const foreignIds = new Set<string>();
  const gap = new AbortController();
  const watch = new Watch(dependencies, {
    isFollowed: (id, captionRun) => captionRun === undefined && !foreignIds.has(id),
    onGap: () => gap.abort(),
  });
  try {
    for (let after: Dataset | undefined; ; ) {
      const page = await catalog.datasets({ accountId, after, limit: MAX_BATCH_DATASETS });
      for (const dataset of page) watch.see(dataset);
      if (signal.aborted) return;
      after = page.at(-1);
      if (page.length < MAX_BATCH_DATASETS) break;
    }
    yield { type: 'open' };
    for (;;) {
      const changed = await withAnySignal([signal, gap.signal], (either) => watch.next(either, MAX_BATCH_DATASETS));
      if (signal.aborted || gap.signal.aborted) return;
      const ids = [...changed.keys()];
      const found = new Map((await catalog.datasets({ accountId, ids })).map((dataset) => [dataset.id, dataset]));
      for (const id of ids) {
        const dataset = found.get(id);
        if (dataset !== undefined) {
          const { status, differs } = watch.see(dataset);
          if (differs) yield { type: 'dataset', summary: { dataset, status } };
        } else if (watch.forget(id)) yield { type: 'deleted', id };
        else if (foreignIds.size < MAX_FOREIGN_IDS) foreignIds.add(id);
      }
      await waitUnlessAborted(WATCH_PAUSE, { signal });
    }
  } finally {
    watch.stop();
  }
}

/** A follower that is further behind is ended. */
const MAX_WAITING = 1000;

interface SharedWatch {
  readonly followers: Set<Readable>;
  readonly ending: AbortController;
  isOpen: boolean;
}

/** Lets all streams of an account share one watch, since a watch remembers every dataset: a thousand would take gigabytes. */
export class AccountWatches {
  readonly #dependencies: WatchDependencies;
  readonly #watches = new Map<string, SharedWatch>();

  constructor(dependencies: WatchDependencies) {
    this.#dependencies = dependencies;
  }

  /** Yields as `watchAccount`. Ends for a caller that is too slow, which misses later events. */
  async *follow(accountId: string, signal: AbortSignal): AsyncGenerator<AccountEvent> {
    const watch = this.#watches.get(accountId) ?? this.#begin(accountId);
    const events = new Readable({ objectMode: true, read: () => {}, signal });
    watch.followers.add(events);
    if (watch.isOpen) events.push({ type: 'open' } satisfies AccountEvent);
    try {
      yield* events;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      watch.followers.delete(events);
      if (watch.followers.size === 0) this.#stop(accountId, watch);
    }
  }

  #begin(accountId: string): SharedWatch {
    const watch = { followers: new Set<Readable>(), ending: new AbortController(), isOpen: false };
    this.#watches.set(accountId, watch);
    void this.#distribute(accountId, watch);
    return watch;
  }

  async #distribute(accountId: string, watch: SharedWatch): Promise<void> {
    const { followers, ending } = watch;
    try {
      for await (const event of watchAccount(this.#dependencies, accountId, ending.signal)) {
        if (event.type === 'open') watch.isOpen = true;
        for (const events of followers) {
          events.push(event);
          if (events.readableLength > MAX_WAITING) end(watch, events);
        }
      }
      this.#stop(accountId, watch);
      for (const events of followers) end(watch, events);
    } catch (error) {
      this.#stop(accountId, watch);
      for (const events of followers) events.destroy(error as Error);
    }
  }

  #stop(accountId: string, watch: SharedWatch): void {
    watch.ending.abort();
    if (this.#watches.get(accountId) === watch) this.#watches.delete(accountId);
  }
}

/** Ends a stream after the events that wait. */
function end({ followers }: SharedWatch, events: Readable): void {
  if (followers.delete(events)) events.push(null);
}
