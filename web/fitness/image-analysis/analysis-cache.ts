import type { Look } from './image-analysis.js';

/*
 * What was seen of a dataset, kept by the browser, so that a reloaded page need not look again. It is a convenience: where
 * the browser keeps nothing, everything works without.
 */

/** Goes up when a look means something else than before, or has other fields: what older pages kept is of no use then. */
const DATABASE = 'trainyard-looks-1';
const STORE = 'datasets';

export type KeptLooks = readonly (readonly [sha256: string, look: Look | undefined])[];

/** What was kept of a dataset; nothing where there is none. */
export async function keptLooksOf(datasetId: string): Promise<KeptLooks> {
  return (await inStore('readonly', (store) => store.get(datasetId))) ?? [];
}

/** Keeps this and nothing else of the dataset. */
export async function keepLooks(datasetId: string, looks: KeptLooks): Promise<void> {
  await inStore('readwrite', (store) => store.put(looks, datasetId));
}

async function inStore<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T | undefined> {
  try {
    const opening = indexedDB.open(DATABASE);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await settled(opening);
    try {
      return await settled(work(database.transaction(STORE, mode).objectStore(STORE)));
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
