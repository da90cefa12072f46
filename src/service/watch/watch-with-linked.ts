import { anySignal } from '../../abort-signals.js';
import type { DatasetKey } from '../datasets.js';
import type { DatasetChange } from './watch-dataset.js';

/** A dataset that is being watched. */
interface Watch {
  readonly id: string;
  readonly changes: AsyncIterator<DatasetChange>;
  /** Ends the watch. */
  readonly stop: () => void;
}

/** What a watch has found. Without a change, it has ended, because of an error or not. */
interface Step {
  readonly watch: Watch;
  readonly change?: DatasetChange | undefined;
  readonly error?: unknown;
}

/**
 * Yields the changes of a dataset, and of the controls and the mask that it is linked to at that moment, as `watchDataset`
 * does. Ends when the dataset is deleted, or without an error when the signal fires.
 *
 * @throws ServiceError `dataset_not_found` if the dataset does not exist at the start
 */
export async function* watchWithLinked(
  watchDataset: (key: DatasetKey, signal: AbortSignal) => AsyncIterable<DatasetChange>,
  key: DatasetKey,
  signal: AbortSignal,
): AsyncGenerator<DatasetChange> {
  const watches = new Map<string, Watch>();
  const steps: Step[] = [];
  let wake = () => {};
  const advance = async (watch: Watch) => {
    let step: Step;
    try {
      const { done, value } = await watch.changes.next();
      step = { watch, change: done === true ? undefined : value };
    } catch (error) {
      step = { watch, error };
    }
    steps.push(step);
    wake();
  };
  const begin = (id: string) => {
    const ending = new AbortController();
    const either = anySignal([signal, ending.signal]);
    const changes = watchDataset({ ...key, id }, either.signal)[Symbol.asyncIterator]();
    const stop = () => {
      ending.abort();
      either.release();
    };
    const watch = { id, changes, stop };
    watches.set(id, watch);
    void advance(watch);
  };
  const end = ({ id, stop, changes }: Watch) => {
    watches.delete(id);
    stop();
    // Without this, a watch whose change is not taken would continue to listen.
    void changes.return?.();
  };
  try {
    begin(key.id);
    while (watches.has(key.id)) {
      const step = steps.shift();
      if (step === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const { watch, change, error } = step;
      const { id } = watch;
      if (watches.get(id) !== watch) continue;
      if (change === undefined) {
        end(watch);
        // A linked dataset may be unlinked and deleted before it is watched.
        if (id === key.id && error !== undefined) throw error;
        continue;
      }
      if (id === key.id) {
        const linked = new Set(change.dataset.links.map(({ dataset }) => dataset.id));
        for (const known of watches.values()) if (known.id !== key.id && !linked.has(known.id)) end(known);
        for (const added of linked) if (!watches.has(added)) begin(added);
      }
      yield change;
      void advance(watch);
    }
  } finally {
    for (const watch of watches.values()) end(watch);
  }
}
