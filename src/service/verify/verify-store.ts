import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { BlobReader, ObjectKind, StoredObject } from '../../storage/blobs/blobs.js';
import { storedTotals } from '../../storage/catalog/copy-catalog.js';
import { openCatalog, type OpenCatalog } from '../../storage/catalog/open-catalog.js';
import {
  blobsToVerify,
  datasetsOfBlobs,
  enqueueVerification,
  filesWithProblems,
} from '../../storage/catalog/verification.js';
import type { Database } from '../../storage/database/database.js';
import { openBlobReader } from '../../storage/open-blobs.js';
import { hasDisappeared } from '../check.js';
import { verifyBlobJob } from '../jobs/check-jobs.js';
import { JobRunner } from '../jobs/job-runner.js';
import { type Installation, requireExisting, requireFolder, TransferError } from '../transfer/installation.js';

/** Enough to hide the latency of a bucket. */
const READS_AT_ONCE = 8;

/** Short, so that a run after a kill soon gets the blobs of the killed process. */
const LEASE: Micros = 10 * MICROS_PER_SECOND;

const POLL_INTERVAL_MS = 200;

/** If none of so many files are in the store, or none of so many objects in the catalog, the two may not belong together. */
const MIN_FILES_FOR_DOUBT = 10;

/** The oldest age of a file in flight. A server removes older ones when it starts. */
const MAX_FLIGHT_MS = 24 * 60 * 60 * 1000;

/** An object that neither a file nor the trash names. */
export interface StrayObject {
  readonly kind: 'orphaned' | 'unfinished' | 'foreign';
  readonly object: StoredObject;
}

interface StrayContext {
  readonly database: Database;
  readonly inventory: BlobReader;
}

export interface StoreProgress {
  readonly objects: number;
  readonly files: number;
  readonly totalFiles: number;
}

export interface VerifyStoreOptions {
  /** Removes orphaned and unfinished objects. */
  readonly repairs: boolean;
  /** How long a service may need an object that no file names. */
  readonly blobGrace: Micros;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: StoreProgress) => void;
}

/** `gone` if the service removed it meanwhile. */
export type Repair = { readonly deed: 'removed' | 'gone' } | { readonly deed: 'left'; readonly reason: string };

export type VerifiedStore = Awaited<ReturnType<typeof verifyStore>>;

/**
 * Verifies an installation, also beside running services: lists the store for unnamed objects, and reads all files as jobs that
 * services share and, after an interruption, continue.
 *
 * @throws TransferError `not_found`, or `lost` if catalog and store don't belong together; ServiceError; BackendUnusable
 */
export async function verifyStore(installation: Installation, options: VerifyStoreOptions) {
  const { databaseUrl, blobs, dataFolder: folder } = installation;
  const isRemote = databaseUrl !== undefined && blobs.kind !== 'disk';
  requireExisting({ ...installation, dataFolder: isRemote ? undefined : requireFolder(folder) });
  const dataFolder = requireFolder(folder);
  const opened = await openCatalog({ ...installation, dataFolder, blobGrace: options.blobGrace });
  try {
    const inventory = await openBlobReader({ ...installation, dataFolder });
    try {
      return await verify({ ...opened, inventory }, options);
    } finally {
      await inventory.close();
    }
  } finally {
    await opened.close();
  }
}

async function verify(store: OpenCatalog & StrayContext, options: VerifyStoreOptions) {
  const { signal, onProgress } = options;
  const { files, bytes } = await storedTotals(store.database);
  const found: StrayObject[] = [];
  let [objects, explained] = [0, 0];
  for await (const page of store.inventory.objects()) {
    signal.throwIfAborted();
    const strays = await straysIn(page, store);
    found.push(...strays);
    objects += page.length;
    explained += page.filter(({ kind }) => kind === 'blob' || kind === 'thumbnail').length - orphanedIn(strays);
    onProgress({ objects, files: 0, totalFiles: files });
  }
  if (explained === 0) requireFew({ files, orphaned: orphanedIn(found) });
  const strays: (StrayObject & { readonly repair?: Repair })[] = [];
  for (const stray of found) {
    signal.throwIfAborted();
    strays.push(options.repairs ? { ...stray, repair: await removeStray(stray, store, options.blobGrace) } : stray);
  }
  await verifyBlobs(store, {
    signal,
    onRemaining: (count) => onProgress({ objects, files: Math.max(files - count, 0), totalFiles: files }),
  });
  const lost = (await filesWithProblems(store.database))
    .filter(({ problem }) => problem.code === 'BYTES_LOST')
    .map((file) => ({ ...file, isMissing: hasDisappeared(file.problem) }));
  return { files, bytes, objects, lost, strays };
}

const orphanedIn = (strays: readonly StrayObject[]) => strays.filter(({ kind }) => kind === 'orphaned').length;

/** Many files of which the store has none, or the reverse, belong to two installations. @throws TransferError `lost` */
function requireFew({ files, orphaned }: { files: number; orphaned: number }): void {
  if (files >= MIN_FILES_FOR_DOUBT) {
    const message =
      'The store has none of the files that the catalog names. It may be another store, or a disk that is not mounted. Check --data, DATABASE_URL and BLOBS_URL.';
    throw new TransferError('lost', message);
  }
  if (orphaned >= MIN_FILES_FOR_DOUBT) {
    const message =
      'The catalog names none of the files in the store. It may be another catalog, or an empty one. Check --data, DATABASE_URL and BLOBS_URL.';
    throw new TransferError('lost', message);
  }
}

const STRAY_KINDS: Record<ObjectKind, StrayObject['kind']> = {
  blob: 'orphaned',
  thumbnail: 'orphaned',
  temporary: 'unfinished',
  foreign: 'foreign',
};

/**
 * Finds strays. A service writes a row before its bytes, so the store is read first; then the files and the history, and for what
 * they don't name the trash too, since a search of it reads all of it.
 */
export async function straysIn(objects: readonly StoredObject[], context: StrayContext): Promise<StrayObject[]> {
  const { database, inventory } = context;
  const ids = [...new Set(objects.flatMap(({ fileId }) => fileId ?? []))];
  const named = await datasetsOfBlobs(database, ids);
  const unnamed = ids.filter((id) => !named.has(id));
  // In one statement with the trash: captions that are saved together move from it to the files.
  const others = await datasetsOfBlobs(database, unnamed, { withTrash: true });
  const isNamed = ({ fileId: id = '', kind, datasetId, changedAt }: StoredObject): boolean => {
    if (kind === 'temporary') return changedAt >= Date.now() - MAX_FLIGHT_MS;
    const found = named.get(id) ?? others.get(id);
    return found !== undefined && (datasetId ?? found) === found;
  };
  const strays: StrayObject[] = [];
  for (const object of objects) {
    // A service may have deleted it meanwhile.
    if (!isNamed(object) && (await inventory.has(object))) strays.push({ kind: STRAY_KINDS[object.kind], object });
  }
  return strays;
}

/** @param blobGrace how long a service may still need an object */
async function removeStray({ kind, object }: StrayObject, context: StrayContext, blobGrace: Micros): Promise<Repair> {
  if (kind === 'foreign') return { deed: 'left', reason: 'trainyard did not make it; remove it by hand' };
  if (object.changedAt > Date.now() - blobGrace / 1000) {
    return { deed: 'left', reason: 'it is younger than --blob-grace-seconds; a service may be using it' };
  }
  // A service may have changed it since the listing.
  if ((await straysIn([object], context)).length === 0) return { deed: 'gone' };
  await context.inventory.remove(object);
  return { deed: 'removed' };
}

/** Verifies all blobs, or those that an interrupted verification has left. */
async function verifyBlobs(
  { database, catalog, jobs, now, inventory: blobs }: OpenCatalog & StrayContext,
  { signal, onRemaining }: { signal: AbortSignal; onRemaining: (count: number) => void },
): Promise<void> {
  if ((await blobsToVerify(database)) === 0) await enqueueVerification(database, now());
  const failures: unknown[] = [];
  const runner = new JobRunner({
    ...{ jobs, now, newId: randomUUID, leaseDuration: LEASE, isAlone: false },
    handlers: [verifyBlobJob({ database, catalog, blobs, now }, { atOnce: READS_AT_ONCE })],
    onError: (error) => failures.push(error),
  });
  runner.start();
  try {
    for (;;) {
      const count = await blobsToVerify(database);
      onRemaining(count);
      if (count === 0) return;
      await wait(POLL_INTERVAL_MS, undefined, { signal });
      const [failure] = failures;
      if (failure !== undefined) throw failure;
    }
  } finally {
    await runner.stop();
  }
}
