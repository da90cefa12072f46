import type { BlobStore } from '../../storage/blobs/blobs.js';
import { DiskBlobs } from '../../storage/blobs/disk/disk-blobs.js';
import {
  BytesMissing,
  blobsNamedBy,
  copyCatalog,
  extentOf,
  holdTheSame,
  isEmptyCatalog,
  rewriteVersions,
} from '../../storage/catalog/copy-catalog.js';
import { dataFolderPaths } from '../../storage/data-folder.js';
import type { Database } from '../../storage/database/database.js';
import { openBlobs } from '../../storage/open-blobs.js';
import { syncFolder } from '../../storage/sync-folder.js';
import { type BlobCopy, type CopyProgress, copyBlobs, problemOf } from './copy-blobs.js';
import {
  displayNameOf,
  type Installation,
  isSameCatalog,
  isSameStore,
  lockFolders,
  openDatabase,
  prepareDataFolder,
  requireExisting,
  requireFolder,
  TransferError,
} from './installation.js';

export interface MigrateOptions {
  /** For bytes on their way into a bucket; more than `spoolBytes` never lies in it. */
  readonly spoolFolder: string;
  readonly spoolBytes: number;
  /** Goes on without files whose bytes are lost: they become refused ones in the target, and their datasets say so. */
  readonly leavesLostOut: boolean;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly onWarning?: (message: string) => void;
}

export interface Migrated extends BlobCopy {
  /** What the catalog names. */
  readonly files: number;
  readonly bytes: number;
}

/**
 * Brings a catalog and all that it names from one place to another, while nothing writes to either. The bytes come first,
 * each proved against its SHA-256, and then the catalog in one transaction: broken off at any moment, the target names
 * nothing yet, and the same call goes on. Only what is in another place is copied; where the catalog is in the same, it is
 * told what the bytes are called in the store that they are in now.
 *
 * @throws TransferError, ServiceError, BackendUnusable; the signal's reason
 */
export async function migrate(from: Installation, to: Installation, options: MigrateOptions): Promise<Migrated> {
  const same = { catalog: isSameCatalog(from, to), store: isSameStore(from, to) };
  if (same.catalog && same.store) throw new TransferError('same_place', `Both ends are ${await displayNameOf(from)}.`);
  requireExisting(from);
  await prepareFolder(from, to);
  const release = lockFolders([from.dataFolder, to.dataFolder].filter((folder) => folder !== undefined));
  const opened: { close: () => Promise<void> }[] = [];
  const keep = <T extends { close: () => Promise<void> }>(one: T): T => {
    opened.push(one);
    return one;
  };
  try {
    const source = keep(await openDatabase(from));
    if (await isEmptyCatalog(source))
      throw new TransferError('not_found', `${await displayNameOf(from)} holds no datasets.`);
    const target = same.catalog ? source : keep(await openDatabase(to));
    // Run again after it was completed, it finds its own work, and makes sure of the bytes.
    const isCatalogThere = same.catalog || (await holdTheSame(source, target));
    if (!isCatalogThere && !(await isEmptyCatalog(target))) throw await occupied(to);
    const targetBlobs = keep(await openStore(to, options));
    const sourceBlobs = same.store ? undefined : keep(await openForReading(from, options));
    const migrated = await copyAll({ source, target, sourceBlobs, targetBlobs }, isCatalogThere, options);
    if (to.dataFolder !== undefined) await syncFolder(to.dataFolder);
    return migrated;
  } finally {
    for (const one of opened.reverse()) await one.close();
    release();
  }
}

async function prepareFolder(from: Installation, to: Installation): Promise<void> {
  if (to.dataFolder === undefined) return;
  const isShared = from.dataFolder !== undefined && (isSameCatalog(from, to) || isSameStore(from, to));
  if (!isShared) await prepareDataFolder(to.dataFolder);
}

/** The two ends, opened; `sourceBlobs` where they are to be copied. */
interface Ends {
  readonly source: Database;
  readonly target: Database;
  readonly sourceBlobs: Pick<BlobStore, 'read'> | undefined;
  readonly targetBlobs: BlobStore;
}

async function copyAll(ends: Ends, isCatalogThere: boolean, options: MigrateOptions): Promise<Migrated> {
  const { source, target, sourceBlobs, targetBlobs } = ends;
  const { leavesLostOut, signal, onProgress } = options;
  const extent = await extentOf(source);
  const copy =
    sourceBlobs === undefined
      ? { copiedFiles: 0, copiedBytes: 0, lost: [] }
      : await copyBlobs(blobsNamedBy(source), { from: sourceBlobs, to: targetBlobs }, { extent, signal, onProgress });
  if (copy.lost.length > 0 && !leavesLostOut) {
    throw new TransferError('lost', 'The catalog was not brought over, since files that it names are lost:', copy);
  }
  const lost = new Map(copy.lost.map((blob) => [blob.fileId, { datasetId: blob.datasetId, problem: problemOf(blob) }]));
  const find = (keys: readonly string[]) => targetBlobs.find(keys);
  const rows = { find, isSameStore: sourceBlobs === undefined, lost, signal };
  try {
    if (isCatalogThere) await rewriteVersions(target, rows);
    else await copyCatalog(source, target, rows);
  } catch (error) {
    if (!(error instanceof BytesMissing)) throw error;
    const advice =
      sourceBlobs === undefined ? '' : ' Something else is at work on one of the ends. Stop it, and try again.';
    throw new TransferError('changed', `${error.message}${advice}`, { cause: error });
  }
  return { ...extent, ...copy };
}

function openStore({ dataFolder = '', blobs }: Installation, { spoolFolder, spoolBytes, onWarning }: MigrateOptions) {
  return openBlobs({ dataFolder, blobs, spoolFolder, spoolBytes }, (level, _facts, message) => {
    if (level === 'warn') onWarning?.(message);
  });
}

async function openForReading(place: Installation, options: MigrateOptions) {
  if (place.blobs.kind !== 'disk') return openStore(place, options);
  return DiskBlobs.beside(dataFolderPaths(requireFolder(place.dataFolder)).blobs);
}

async function occupied(place: Installation): Promise<TransferError> {
  return new TransferError(
    'occupied',
    `${await displayNameOf(place)} holds another catalog already, which is left as it is. Name an empty place.`,
  );
}
