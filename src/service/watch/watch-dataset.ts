import { setTimeout as wait } from 'node:timers/promises';
import { withAnySignal } from '../../abort-signals.js';
import type { Dataset, Micros, Status } from '../../dataset/dataset.js';
import { datasetStatusOf, nextStatusChangeOf } from '../../dataset/pairs/links.js';
import { type DatasetKey, datasetNotFound, type DatasetSummary } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** The longest delay of a Node timer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** With more names, a reader reads all files. */
const MAX_CHANGED_NAMES = 200;

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
  { catalog, rules, now }: ServiceDependencies,
  key: DatasetKey,
  { signal, withLinked = false, withCaptionRuns = false }: WatchOptions,
): AsyncGenerator<DatasetChange> {
  let wake = new AbortController();
  const changed = new ChangedNames(key.id);
  const runs = new Set<string>();
  const fingerprints = new Map<string, string>();
  const unsubscribe = catalog.changes.onAnyChange(
    (id, filenames, captionRun) => {
      const isFollowed = captionRun === undefined ? changed.add(id, filenames) : withCaptionRuns && id === key.id;
      if (isFollowed && captionRun !== undefined) runs.add(captionRun);
      if (isFollowed) wake.abort();
    },
    () => {
      changed.addAll();
      wake.abort();
    },
  );
  try {
    while (!signal.aborted) {
      wake = new AbortController();
      // A change during the read is reported with the next one.
      const namesOf = changed.take();
      const changedRuns = [...runs];
      runs.clear();
      const dataset = await catalog.dataset(key);
      if (dataset === undefined) {
        if (fingerprints.size === 0) throw datasetNotFound(key.id);
        return;
      }
      const all = [dataset, ...dataset.links.map((link) => link.dataset)];
      // A linked dataset that is new may have changed before.
      if (changed.follow(all.map(({ id }) => id))) wake.abort();
      // The clock is read once for both, so that no change falls between two readings.
      const at = now();
      for (const each of withLinked ? all : [dataset]) {
        if (!namesOf.has(each.id)) continue;
        const names = namesOf.get(each.id);
        const status = datasetStatusOf(each, at, rules);
        const fingerprint = fingerprintOf(each, status);
        const captionRuns = each === dataset ? changedRuns : [];
        const hasChanged = names === undefined || names.size > 0 || captionRuns.length > 0;
        if (hasChanged || fingerprint !== fingerprints.get(each.id)) {
          fingerprints.set(each.id, fingerprint);
          yield { dataset: each, status, filenames: names && [...names], captionRuns };
        }
      }
      const nextChange = nextStatusChangeOf(dataset, at, rules) ?? Number.POSITIVE_INFINITY;
      await withAnySignal([signal, wake.signal], (either) => waitUnlessAborted(nextChange - at, { signal: either }));
    }
  } finally {
    unsubscribe();
  }
}

/** The changed files of a dataset and of those that it links to; `undefined`: any file. */
class ChangedNames {
  #names: Map<string, Set<string> | undefined>;

  constructor(id: string) {
    this.#names = new Map([[id, undefined]]);
  }

  /** @returns false if the dataset is not followed */
  add(id: string, filenames: readonly string[] | undefined): boolean {
    if (!this.#names.has(id)) return false;
    const names = this.#names.get(id);
    for (const filename of filenames ?? []) names?.add(filename);
    if (filenames === undefined || (names?.size ?? 0) > MAX_CHANGED_NAMES) this.#names.set(id, undefined);
    return true;
  }

  addAll(): void {
    for (const id of this.#names.keys()) this.#names.set(id, undefined);
  }

  /** Returns the names until now, and begins anew. */
  take(): ReadonlyMap<string, ReadonlySet<string> | undefined> {
    const taken = this.#names;
    this.#names = new Map([...taken.keys()].map((id) => [id, new Set()]));
    return taken;
  }

  /** @returns whether a dataset is new here: any file of it counts as changed */
  follow(ids: readonly string[]): boolean {
    const added = ids.filter((id) => !this.#names.has(id));
    for (const id of this.#names.keys()) if (!ids.includes(id)) this.#names.delete(id);
    for (const id of added) this.#names.set(id, undefined);
    return added.length > 0;
  }
}

/** Changes with a dataset or one that it links to. The renewal of a lease changes only `pendingUntil`, which is left out. */
export function fingerprintOf({ name, role, counts, links }: Dataset, status: Status): string {
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
