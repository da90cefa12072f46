import { setTimeout as wait } from 'node:timers/promises';
import { withAnySignal } from '../../abort-signals.js';
import type { Micros } from '../../dataset/dataset.js';
import { datasetStatusOf, nextStatusChangeOf } from '../../dataset/pairs/linked-status.js';
import type { DatasetSummary } from '../dataset-view.js';
import { type DatasetKey, datasetNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { fingerprintOf, LinkedDatasets } from './linked-datasets.js';

/** The longest delay of a Node timer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Limit of the names of a change. A reader of more reads all files. */
const MAX_CHANGED_NAMES = 200;

/** A dataset after a change. */
export interface DatasetChange extends DatasetSummary {
  /** The names of the files that may have changed since the change before; `undefined`: any file. */
  readonly filenames: readonly string[] | undefined;
}

/**
 * Yields the dataset as it is now, and again after every change, including changes of datasets that it links to and changes that
 * only time causes. Changes while the caller handles one are combined. Ends when the dataset is deleted, or without an error
 * when the signal fires.
 *
 * @throws ServiceError `dataset_not_found` if the dataset does not exist at the start
 */
export async function* watchDataset(
  { catalog, rules, now }: ServiceDependencies,
  key: DatasetKey,
  signal: AbortSignal,
): AsyncGenerator<DatasetChange> {
  let wake = new AbortController();
  let changed: Set<string> | undefined;
  const unsubscribe = catalog.changes.onChange(key.id, (filenames) => {
    for (const filename of filenames ?? []) changed?.add(filename);
    if (filenames === undefined || (changed?.size ?? 0) > MAX_CHANGED_NAMES) changed = undefined;
    wake.abort();
  });
  const linkedDatasets = new LinkedDatasets(catalog.changes, () => wake.abort());
  try {
    let lastFingerprint: string | undefined;
    for (;;) {
      if (signal.aborted) return;
      wake = new AbortController();
      // A change during the read is reported with the next one.
      const filenames = changed && [...changed];
      changed = new Set();
      const dataset = await catalog.dataset(key);
      if (dataset === undefined) {
        if (lastFingerprint === undefined) throw datasetNotFound(key.id);
        return;
      }
      linkedDatasets.follow(dataset);
      // The clock is read once for both, so that no change falls between two readings.
      const at = now();
      const status = datasetStatusOf(dataset, at, rules);
      const fingerprint = fingerprintOf(dataset, status);
      if (fingerprint !== lastFingerprint || filenames === undefined || filenames.length > 0) {
        yield { dataset, status, filenames };
      }
      lastFingerprint = fingerprint;
      const nextChange = nextStatusChangeOf(dataset, at, rules) ?? Number.POSITIVE_INFINITY;
      await withAnySignal([signal, wake.signal], (either) => waitUnlessAborted(nextChange - at, { signal: either }));
    }
  } finally {
    unsubscribe();
    linkedDatasets.end();
  }
}

/** Waits for a duration, but at least 1 ms. Returns early, without an error, when the signal fires. */
export async function waitUnlessAborted(duration: Micros, { signal }: { signal: AbortSignal }): Promise<void> {
  await wait(Math.min(Math.max(duration / 1000, 1), MAX_TIMEOUT_MS), undefined, { signal }).catch(() => {});
}
