import { setTimeout as wait } from 'node:timers/promises';
import { nextChangeOf, statusOf } from '../../dataset/dataset.js';
import { type DatasetKey, type DatasetSummary, datasetNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** A timer takes no longer delay; the loop simply looks again then. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Somebody who follows a dataset waits as long as somebody who polls it, as the store tells nobody that an upload has come. */
const LOOK_INTERVAL_MS = 1000;

/**
 * The dataset as it is now, and again after every change of its status or its counts, those included that time alone
 * makes. Ends when the dataset is removed, or without an error when the signal fires.
 *
 * @throws ServiceError `dataset_not_found` where there is none to begin with
 */
export async function* watchDataset(
  { catalog, rules, now, pollPresignedUploads }: ServiceDependencies,
  key: DatasetKey,
  signal: AbortSignal,
): AsyncGenerator<DatasetSummary> {
  let changed = new AbortController();
  const stopListening = catalog.onChange(key.id, () => changed.abort());
  try {
    let shown: string | undefined;
    while (!signal.aborted) {
      changed = new AbortController();
      const dataset = await catalog.dataset(key);
      if (dataset === undefined) {
        if (shown === undefined) throw datasetNotFound(key.id);
        return;
      }
      const { counts } = dataset;
      const asksStore = pollPresignedUploads !== undefined && counts.pending > 0;
      if (asksStore) pollPresignedUploads(key.id);
      // One reading of the clock for both: between two, the moment of the next change could slip by unseen.
      const at = now();
      const status = statusOf(counts, at, rules);
      const face = JSON.stringify({ status, ...counts, lastActivity: 0, pendingUntil: 0 });
      if (face !== shown) yield { dataset, status };
      shown = face;
      const nextChange = nextChangeOf(counts, at, rules) ?? Number.POSITIVE_INFINITY;
      const longestMs = asksStore ? LOOK_INTERVAL_MS : MAX_TIMEOUT_MS;
      const delayMs = Math.min(Math.max((nextChange - at) / 1000, 1), longestMs);
      await wait(delayMs, undefined, { signal: AbortSignal.any([signal, changed.signal]) }).catch(() => {});
    }
  } finally {
    stopListening();
  }
}
