import type { Dataset } from '../../../src/client/client.js';

const KEY = 'trainyard-unfinished-uploads';

/**
 * Datasets to which this tab was sending files when its page was left, each with the time of its last change as it was seen
 * first after that; `undefined` until then.
 */
const interrupted = new Map(
  (JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as string[]).map((id): [string, string | undefined] => [
    id,
    undefined,
  ]),
);

/** Records to which datasets this tab is sending files, so that it knows after a reload that they were not all sent. */
export function recordUnfinished(datasetIds: readonly string[]): void {
  for (const id of datasetIds) interrupted.delete(id);
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...new Set([...datasetIds, ...interrupted.keys()])]));
  } catch {
    // The storage is full or blocked. The uploads go on without the record.
  }
}

/** Whether this tab was left while it was sending files to the dataset, and no client has changed the dataset since. */
export function wasInterrupted({ id, updated_at }: Pick<Dataset, 'id' | 'updated_at'>): boolean {
  if (!interrupted.has(id)) return false;
  const first = interrupted.get(id) ?? updated_at;
  interrupted.set(id, first);
  return first === updated_at;
}
