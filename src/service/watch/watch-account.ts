import { setTimeout as wait } from 'node:timers/promises';
import { type Dataset, type Micros, nextChangeOf, type StatusRules, statusOf } from '../../dataset/dataset.js';
import type { DatasetSummary } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { MAX_TIMEOUT_MS } from './watch-dataset.js';

/** Between two looks: an upload of thousands of files is a few events a second and no more. */
const PAUSE_MS = 250;

/** Datasets looked at together. */
const LOOKED_AT_ONCE = 500;

/** Ids of other accounts' datasets that are remembered, so as not to be looked up again. */
const MOST_STRANGERS = 10_000;

export type AccountEvent =
  /** From here on no change is missed. */
  | { readonly type: 'open' }
  | { readonly type: 'dataset'; readonly summary: DatasetSummary }
  | { readonly type: 'deleted'; readonly id: string };

/**
 * `open`, and then each dataset of an account after every change, one that time alone makes included; changes that come
 * quickly one after the other are told of together. Only the rows of what has changed are read. Ends where changes may
 * have gone unheard, so that whoever follows looks at everything again, or without an error when the signal fires.
 */
export async function* watchAccount(
  { catalog, rules, now }: Pick<ServiceDependencies, 'catalog' | 'now'> & { readonly rules: StatusRules },
  accountId: string,
  signal: AbortSignal,
): AsyncGenerator<AccountEvent> {
  const changed = new Set<string>();
  const strangers = new Set<string>();
  /** How each dataset of the account was shown last, and when time alone will change it. */
  const faces = new Map<string, string>();
  const nextChanges = new Map<string, Micros>();
  let wake = new AbortController();
  let hasMissedSome = false;

  const look = (dataset: Dataset): DatasetSummary | undefined => {
    const { id, counts } = dataset;
    // One reading of the clock for both: between two, the moment of the next change could slip by unseen.
    const at = now();
    const status = statusOf(counts, at, rules);
    const nextChange = nextChangeOf(counts, at, rules);
    if (nextChange === undefined) nextChanges.delete(id);
    else nextChanges.set(id, nextChange);
    // A lease that is renewed moves `pendingUntil` alone, and nobody needs to see that.
    const face = Object.values({ status, ...counts, pendingUntil: null }).join();
    if (face === faces.get(id)) return undefined;
    faces.set(id, face);
    return { dataset, status };
  };

  const stopListening = catalog.onAnyChange(
    (id) => {
      if (strangers.has(id)) return;
      changed.add(id);
      wake.abort();
    },
    () => {
      hasMissedSome = true;
      wake.abort();
    },
  );
  try {
    for (const dataset of await catalog.datasets({ accountId })) look(dataset);
    yield { type: 'open' };
    while (!signal.aborted && !hasMissedSome) {
      wake = new AbortController();
      const at = now();
      let nextChange = Number.POSITIVE_INFINITY;
      for (const [id, moment] of nextChanges) {
        if (moment <= at) changed.add(id);
        nextChange = Math.min(nextChange, moment);
      }
      if (changed.size === 0) {
        const delayMs = Math.min(Math.max((nextChange - at) / 1000, 1), MAX_TIMEOUT_MS);
        await wait(delayMs, undefined, { signal: AbortSignal.any([signal, wake.signal]) }).catch(() => {});
        continue;
      }
      const ids = [...changed].slice(0, LOOKED_AT_ONCE);
      for (const id of ids) changed.delete(id);
      const found = new Map((await catalog.datasets({ accountId, ids })).map((dataset) => [dataset.id, dataset]));
      for (const id of ids) {
        const dataset = found.get(id);
        const summary = dataset && look(dataset);
        if (summary !== undefined) yield { type: 'dataset', summary };
        if (dataset !== undefined) continue;
        nextChanges.delete(id);
        if (faces.delete(id)) yield { type: 'deleted', id };
        else if (strangers.size < MOST_STRANGERS) strangers.add(id);
      }
      await wait(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    stopListening();
  }
}
