import type { DatasetFile, Micros } from '../../dataset/dataset.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import type { BlobInventory, ObjectKind, StoredObject } from '../../storage/blobs/inventory.js';
import { filesById, pastDatasetIds, trashOf } from '../../storage/catalog/catalog-check.js';
import type { Database } from '../../storage/database/database.js';
import type { CheckState, StrayObject } from './findings.js';

/** A file in flight of a running service is younger. */
const MAX_FLIGHT_MS = 24 * 60 * 60 * 1000;

export interface StrayContext {
  readonly db: Database;
  readonly inventory: BlobInventory;
  /** The clock of the catalog. */
  readonly now: () => Micros;
  /** False if no process can have temporary files in flight. */
  readonly isServed: boolean;
}

/** Lists the whole store, and finds what neither a file nor the trash of the catalog names. */
export async function checkObjects(
  context: StrayContext,
  options: {
    from: CheckState;
    signal: AbortSignal;
    record: (strays: readonly StrayObject[], state: CheckState) => Promise<void>;
  },
): Promise<CheckState> {
  let state = options.from;
  for await (const page of context.inventory.objects({ after: state.after })) {
    options.signal.throwIfAborted();
    const strays = await straysIn(page, context);
    const blobs = page.filter(({ kind }) => kind === 'blob' || kind === 'thumbnail');
    const orphans = strays.filter(({ kind }) => kind === 'orphaned');
    state = {
      ...state,
      objects: state.objects + page.length,
      explained: state.explained + blobs.length - orphans.length,
      // A check that continues lists temporary files and parts again.
      after: page.findLast(({ kind }) => kind !== 'temporary' && kind !== 'parts')?.name ?? state.after,
    };
    await options.record(strays, state);
  }
  return state;
}

/**
 * The objects that are strays. The store is read before the catalog, and a service writes the row of a file before its
 * bytes: so an object without a row is none of an upload that is beginning.
 */
export async function straysIn(objects: readonly StoredObject[], context: StrayContext): Promise<StrayObject[]> {
  const unnamed = await withoutFile(objects, context);
  const trash = await trashOf(context.db, [...new Set(unnamed.flatMap(({ fileId }) => fileId ?? []))]);
  const trashedIds = new Set([...trash].map((key) => key.slice(key.indexOf('/') + 1)));
  const isTrashed = ({ fileId: id = '', datasetId }: StoredObject) =>
    datasetId === undefined ? trashedIds.has(id) : trash.has(blobKeyOf({ id, datasetId }));
  const untrashed = unnamed.filter((object) => object.kind === 'parts' || !isTrashed(object));
  const strays: StrayObject[] = [];
  // Once more after the trash: captions that are saved together move from it to the files.
  for (const object of await withoutFile(untrashed, context)) {
    // A service may have deleted it meanwhile.
    if (await context.inventory.has(object)) strays.push({ kind: STRAY_KINDS[object.kind], object });
  }
  return strays;
}

/** The objects that no file names, neither of now nor of the history. */
async function withoutFile(
  objects: readonly StoredObject[],
  { db, now, isServed }: StrayContext,
): Promise<StoredObject[]> {
  const ids = [...new Set(objects.flatMap(({ fileId }) => fileId ?? []))];
  const files = await filesById(db, ids);
  // After the files: a file moves from them to the history.
  const past = await pastDatasetIds(db, ids);
  return objects.filter((object) => {
    if (object.kind === 'temporary') return !isServed || object.changedAt < Date.now() - MAX_FLIGHT_MS;
    const { fileId = '', kind, datasetId } = object;
    const file = files.get(fileId);
    const pastDatasetId = kind === 'parts' ? undefined : past.get(fileId);
    if (pastDatasetId !== undefined && (datasetId ?? pastDatasetId) === pastDatasetId) return false;
    return file === undefined || !isNamedBy(object, file, now());
  });
}

const STRAY_KINDS: Record<ObjectKind, StrayObject['kind']> = {
  blob: 'orphaned',
  thumbnail: 'orphaned',
  parts: 'unfinished',
  temporary: 'unfinished',
  foreign: 'foreign',
};

function isNamedBy({ kind, datasetId = '' }: StoredObject, file: DatasetFile, now: Micros): boolean {
  if (datasetId !== '' && datasetId !== file.datasetId) return false;
  if (kind !== 'parts') return file.upload.state !== 'rejected';
  return file.upload.state === 'pending' && (file.upload.leaseUntil ?? 0) > now;
}
