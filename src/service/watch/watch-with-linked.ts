import type { DatasetKey } from '../datasets.js';
import type { DatasetChange } from './watch-dataset.js';

/** A dataset that is being watched. */
interface Watch {
  readonly changes: AsyncIterator<DatasetChange>;
  readonly ending: AbortController;
  next: Promise<{ readonly id: string; readonly change: DatasetChange | undefined }>;
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
  const advance = async (id: string, changes: AsyncIterator<DatasetChange>) => {
    try {
      const { done, value } = await changes.next();
      return { id, change: done === true ? undefined : value };
    } catch (error) {
      // A linked dataset may be unlinked and deleted before it is watched.
      if (id === key.id) throw error;
      return { id, change: undefined };
    }
  };
  const watch = (id: string) => {
    const ending = new AbortController();
    const changes = watchDataset({ ...key, id }, AbortSignal.any([signal, ending.signal]))[Symbol.asyncIterator]();
    watches.set(id, { changes, ending, next: advance(id, changes) });
  };
  const end = (id: string) => {
    watches.get(id)?.ending.abort();
    watches.delete(id);
  };
  try {
    watch(key.id);
    while (watches.has(key.id)) {
      const { id, change } = await Promise.race([...watches.values()].map(({ next }) => next));
      const watched = watches.get(id);
      if (watched === undefined) continue;
      if (change === undefined) {
        end(id);
        continue;
      }
      if (id === key.id) {
        const linked = new Set(change.dataset.links.map(({ dataset }) => dataset.id));
        for (const known of watches.keys()) if (known !== key.id && !linked.has(known)) end(known);
        for (const added of linked) if (!watches.has(added)) watch(added);
      }
      yield change;
      watched.next = advance(id, watched.changes);
    }
  } finally {
    for (const id of watches.keys()) end(id);
  }
}
