import { type BlobInventory, blobKeyOf, type ObjectKind, type StoredObject } from '../../storage/blobs/blobs.js';
import { datasetsOfBlobs } from '../../storage/catalog/store-verification.js';
import { Trash } from '../../storage/catalog/trash.js';
import type { Database } from '../../storage/database/database.js';

/** A file in flight to the store is younger. Older ones are removed when a server starts. */
const MAX_FLIGHT_MS = 24 * 60 * 60 * 1000;

/** Something in the store that neither a file nor the trash names: `foreign` if trainyard gives no such name. */
export interface StrayObject {
  readonly kind: 'orphaned' | 'unfinished' | 'foreign';
  readonly object: StoredObject;
}

export interface StrayContext {
  readonly database: Database;
  readonly inventory: BlobInventory;
}

/** A listing of the store. */
export interface ListedStore {
  readonly objects: number;
  /** Blobs and thumbnails that a file or the trash names. */
  readonly explained: number;
  readonly strays: readonly StrayObject[];
}

/** Lists the whole store, and finds what neither a file nor the trash of the catalog names. */
export async function listStore(
  context: StrayContext,
  { signal, onObjects }: { signal: AbortSignal; onObjects: (objects: number) => void },
): Promise<ListedStore> {
  const strays: StrayObject[] = [];
  let [objects, blobs] = [0, 0];
  for await (const page of context.inventory.objects()) {
    signal.throwIfAborted();
    for (const stray of await straysIn(page, context)) strays.push(stray);
    objects += page.length;
    blobs += page.filter(({ kind }) => kind === 'blob' || kind === 'thumbnail').length;
    onObjects(objects);
  }
  return { objects, explained: blobs - strays.filter(({ kind }) => kind === 'orphaned').length, strays };
}

/**
 * The objects that are strays. The store is read before the catalog, and a service writes the row of a file before its
 * bytes: so an object without a row is none of an upload that is beginning.
 */
export async function straysIn(objects: readonly StoredObject[], context: StrayContext): Promise<StrayObject[]> {
  const unnamed = await withoutFile(objects, context);
  const ids = new Set(unnamed.flatMap(({ fileId }) => fileId ?? []));
  const trash = await new Trash(context.database).keysOf([...ids]);
  const trashedIds = new Set([...trash].map((key) => key.slice(key.indexOf('/') + 1)));
  const isTrashed = ({ fileId: id = '', datasetId }: StoredObject) =>
    datasetId === undefined ? trashedIds.has(id) : trash.has(blobKeyOf({ id, datasetId }));
  const untrashed = unnamed.filter((object) => !isTrashed(object));
  const strays: StrayObject[] = [];
  // Once more after the trash: captions that are saved together move from it to the files.
  for (const object of await withoutFile(untrashed, context)) {
    // A service may have deleted it meanwhile.
    if (await context.inventory.has(object)) strays.push({ kind: STRAY_KINDS[object.kind], object });
  }
  return strays;
}

/** The objects that no file names, neither a current one nor one of the history. */
async function withoutFile(objects: readonly StoredObject[], { database }: StrayContext): Promise<StoredObject[]> {
  const datasets = await datasetsOfBlobs(
    database,
    objects.flatMap(({ fileId }) => fileId ?? []),
  );
  return objects.filter(({ fileId = '', kind, datasetId, changedAt }) => {
    if (kind === 'temporary') return changedAt < Date.now() - MAX_FLIGHT_MS;
    const found = datasets.get(fileId);
    return found === undefined || (datasetId !== undefined && datasetId !== found);
  });
}

const STRAY_KINDS: Record<ObjectKind, StrayObject['kind']> = {
  blob: 'orphaned',
  thumbnail: 'orphaned',
  temporary: 'unfinished',
  foreign: 'foreign',
};
