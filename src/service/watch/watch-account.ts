import { Readable } from 'node:stream';
import { withAnySignal } from '../../abort-signals.js';
import type { Dataset, Micros, StatusRules } from '../../dataset/dataset.js';
import { datasetStatusOf, nextStatusChangeOf } from '../../dataset/pairs/links.js';
import type { DatasetSummary } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { fingerprintOf, waitUnlessAborted } from './watch-dataset.js';

/** Between two rounds, so that thousands of uploads cause a few events a second. */
const PAUSE: Micros = 250_000;

/** The datasets of one query. */
const MAX_BATCH_DATASETS = 500;

/** The most remembered ids of other accounts' datasets, which are not read again. */
const MAX_FOREIGN_IDS = 10_000;

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
  { catalog, rules, now }: Pick<ServiceDependencies, 'catalog' | 'now'> & { readonly rules: StatusRules },
  accountId: string,
  signal: AbortSignal,
): AsyncGenerator<AccountEvent> {
  const changed = new Set<string>();
  const foreignIds = new Set<string>();
  /** The last reported state of each dataset. */
  const fingerprints = new Map<string, string>();
  /** When time changes the status of a dataset. */
  const nextChanges = new Map<string, Micros>();
  /** The datasets that each dataset links to. */
  const linkedIds = new Map<string, readonly string[]>();
  let wake = new AbortController();
  let hasGap = false;

  const changeIn = (dataset: Dataset): DatasetSummary | undefined => {
    const { id } = dataset;
    // The clock is read once for both, so that no change falls between two readings.
    const at = now();
    const status = datasetStatusOf(dataset, at, rules);
    const nextChange = nextStatusChangeOf(dataset, at, rules);
    if (nextChange === undefined) nextChanges.delete(id);
    else nextChanges.set(id, nextChange);
    const ids = dataset.links.map((link) => link.dataset.id);
    const known = linkedIds.get(id) ?? [];
    if (ids.length === 0) linkedIds.delete(id);
    else linkedIds.set(id, ids);
    // A linked dataset that is new may have changed before.
    if (ids.some((linkedId) => !known.includes(linkedId))) changed.add(id);
    const fingerprint = fingerprintOf(dataset, status);
    if (fingerprint === fingerprints.get(id)) return undefined;
    fingerprints.set(id, fingerprint);
    return { dataset, status };
  };

  const unsubscribe = catalog.changes.onAnyChange(
    (id, _, captionRun) => {
      if (captionRun !== undefined || foreignIds.has(id)) return;
      changed.add(id);
      for (const [targetId, ids] of linkedIds) if (ids.includes(id)) changed.add(targetId);
      wake.abort();
    },
    () => {
      hasGap = true;
      wake.abort();
    },
  );
  try {
    for (let after: Dataset | undefined; ; ) {
      const page = await catalog.datasets({ accountId, after, limit: MAX_BATCH_DATASETS });
      for (const dataset of page) changeIn(dataset);
      if (signal.aborted) return;
      after = page.at(-1);
      if (page.length < MAX_BATCH_DATASETS) break;
    }
    yield { type: 'open' };
    while (!signal.aborted && !hasGap) {
      wake = new AbortController();
      const at = now();
      for (const [id, moment] of nextChanges) if (moment <= at) changed.add(id);
      if (changed.size === 0) {
        const nextChange = [...nextChanges.values()].reduce(
          (first, moment) => Math.min(first, moment),
          Number.POSITIVE_INFINITY,
        );
        await withAnySignal([signal, wake.signal], (either) => waitUnlessAborted(nextChange - at, { signal: either }));
        continue;
      }
      const ids = [...changed].slice(0, MAX_BATCH_DATASETS);
      for (const id of ids) changed.delete(id);
      const found = new Map((await catalog.datasets({ accountId, ids })).map((dataset) => [dataset.id, dataset]));
      for (const id of ids) {
        const dataset = found.get(id);
        const summary = dataset && changeIn(dataset);
        if (summary !== undefined) yield { type: 'dataset', summary };
        if (dataset !== undefined) continue;
        nextChanges.delete(id);
        linkedIds.delete(id);
        if (fingerprints.delete(id)) yield { type: 'deleted', id };
        else if (foreignIds.size < MAX_FOREIGN_IDS) foreignIds.add(id);
      }
      await waitUnlessAborted(PAUSE, { signal });
    }
  } finally {
    unsubscribe();
  }
}

/** A follower that is further behind is ended. */
const MAX_WAITING = 1000;

interface SharedWatch {
  readonly followers: Set<Readable>;
  readonly ending: AbortController;
  isOpen: boolean;
}

type WatchDependencies = Parameters<typeof watchAccount>[0];

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
    const events = new Readable({ objectMode: true, read: () => {} });
    watch.followers.add(events);
    if (watch.isOpen) events.push({ type: 'open' } satisfies AccountEvent);
    const onAbort = () => end(watch, events);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    try {
      for await (const event of events) {
        if (signal.aborted) return;
        yield event;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
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
