import type { ImageAnalysis } from './image-analysis.js';

/*
 * Stores analyses in IndexedDB, so that a reloaded page need not repeat them. Where IndexedDB is not available, reads find
 * nothing and writes are dropped.
 */

/** Raise the number when the fields of `ImageAnalysis` or their meaning change, so that older entries are ignored. */
const DATABASE = 'trainyard-looks-1';
const STORE = 'datasets';

/** `undefined` for an image without a thumbnail. */
export type CachedAnalyses = readonly (readonly [sha256: string, analysis: ImageAnalysis | undefined])[];

export async function readCachedAnalyses(datasetId: string): Promise<CachedAnalyses> {
  return (await inStore('readonly', (store) => store.get(datasetId))) ?? [];
}

/** Replaces the cached analyses of the dataset. */
export async function writeCachedAnalyses(datasetId: string, analyses: CachedAnalyses): Promise<void> {
  await inStore('readwrite', (store) => store.put(analyses, datasetId));
}

async function inStore<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T | undefined> {
  try {
    const opening = indexedDB.open(DATABASE);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await resultOf(opening);
    try {
      return await resultOf(work(database.transaction(STORE, mode).objectStore(STORE)));
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  }
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
