import type { BlobStore } from '../../storage/blobs/blobs.js';
import { DiskBlobs } from '../../storage/blobs/disk/disk-blobs.js';
import {
  BlobMissing,
  copyCatalog,
  haveSameRows,
  haveSameTables,
  isEmptyCatalog,
  referencedBlobs,
  rewriteVersions,
  storedTotals,
} from '../../storage/catalog/copy-catalog.js';
import { trashDeleted } from '../../storage/catalog/trash-deleted.js';
import { dataFolderPaths } from '../../storage/data-folder.js';
import type { Database } from '../../storage/database/database.js';
import { openBlobs } from '../../storage/open-blobs.js';
import { syncFolder } from '../../storage/sync-folder.js';
import { type BlobCopy, type CopyProgress, copyBlobs, problemOf } from './copy-blobs.js';
import {
  displayNameOf,
  type Installation,
  isSameCatalogFile,
  isSameFolder,
  isSameStore,
  lockFolders,
  openDatabase,
  prepareDataFolder,
  requireExisting,
  requireFolder,
  TransferError,
} from './installation.js';
import { requireNoOtherFiles } from './require-no-other-files.js';

export interface MigrateOptions {
  /** Temporary folder for uploads into a bucket. */
  readonly spoolFolder: string;
  /** Continues without files that are found lost: they have the problem `BYTES_LOST` in the target, and their datasets are FAILED. */
  readonly skipsLost: boolean;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly onWarning?: (message: string) => void;
}

export interface Migrated extends BlobCopy {
  /** All stored files of the catalog. */
  readonly files: number;
  readonly bytes: number;
  /** What the source and the target share, which was not copied; at most one of both. */
  readonly shared: { readonly catalog: boolean; readonly store: boolean };
}

/**
 * Copies an installation to another one, while no process writes to either. First the blobs are copied and checked against
 * their SHA-256, then the catalog is copied in one transaction. After an interruption the target has no catalog yet, and the
 * same call continues. A catalog or blob store that both share is not copied; a shared catalog gets the blob versions of the
 * new store.
 *
 * @throws TransferError, ServiceError, BackendUnusable; the signal's reason
 */
export async function migrate(from: Installation, to: Installation, options: MigrateOptions): Promise<Migrated> {
  const same = { catalog: isSameCatalogFile(from, to), store: isSameStore(from, to) };
  if (same.catalog && same.store) throw await samePlace(from);
  requireExisting(from);
  await prepareFolder(from, to);
  const release = lockFolders([from.dataFolder, to.dataFolder].filter((folder) => folder !== undefined));
  const toClose: { close: () => Promise<void> }[] = [];
  const closeLater = <T extends { close: () => Promise<void> }>(resource: T): T => {
    toClose.push(resource);
    return resource;
  };
  try {
    const source = closeLater(await openDatabase(from));
    if (await isEmptyCatalog(source))
      throw new TransferError('not_found', `${await displayNameOf(from)} holds no datasets.`);
    const target = same.catalog ? source : closeLater(await openDatabase(to));
    same.catalog ||= await haveSameTables(source, target);
    if (same.catalog && same.store) throw await samePlace(from);
    // After a completed migration the target has the same catalog: a second run checks that its blobs are complete.
    const hasCatalog = same.catalog || (await haveSameRows(source, target));
    if (!hasCatalog && !(await isEmptyCatalog(target))) {
      const message = `${await displayNameOf(to)} already holds another catalog. Name an empty target.`;
      throw new TransferError('occupied', message);
    }
    if (!same.store) await requireNoOtherFiles(source, to, options.signal);
    // The files of deleted datasets are not copied.
    await trashDeleted(source, { blobGrace: 0, signal: options.signal });
    options.signal.throwIfAborted();
    const targetBlobs = closeLater(await openStore(to, options));
    const sourceBlobs = same.store ? undefined : closeLater(await openForReading(from, options));
    if (sourceBlobs !== undefined) await requireOtherBucket({ from, to, sourceBlobs, targetBlobs }, options.signal);
    const opened = { source, target, from: sourceBlobs, to: targetBlobs };
    const migrated = await copyAll(opened, hasCatalog, options);
    if (to.dataFolder !== undefined) await syncFolder(to.dataFolder);
    return { ...migrated, shared: same };
  } finally {
    for (const resource of toClose.reverse()) await resource.close();
    release();
  }
}

async function prepareFolder(from: Installation, to: Installation): Promise<void> {
  // In a shared folder, the other part of the source may stay.
  if (to.dataFolder === undefined || isSameFolder(from.dataFolder, to.dataFolder)) return;
  await prepareDataFolder(to.dataFolder, to);
}

async function samePlace(from: Installation): Promise<TransferError> {
  return new TransferError('same_place', `Source and target are the same: ${await displayNameOf(from)}.`);
}

/**
 * Requires that a bucket is not named in two ways: nothing would be copied, and the old files, which a person deletes after a
 * migration, are the new ones.
 *
 * @throws TransferError `same_place`, ServiceError; the signal's reason
 */
async function requireOtherBucket(
  {
    from,
    to,
    sourceBlobs,
    targetBlobs,
  }: { from: Installation; to: Installation; sourceBlobs: Pick<BlobStore, 'find'>; targetBlobs: BlobStore },
  signal: AbortSignal,
): Promise<void> {
  if (from.blobs.kind === 'disk' || to.blobs.kind === 'disk') return;
  const { areOnePlace } = await import('../../storage/blobs/s3/probe.js');
  if (!(await areOnePlace(targetBlobs, sourceBlobs, signal))) return;
  const bucket = await displayNameOf({ dataFolder: undefined, databaseUrl: undefined, blobs: to.blobs });
  const message = `Source and target name one bucket in two ways: what is stored in ${bucket} of the target is also in that of the source. To leave the files where they are, name it in the same way in both.`;
  throw new TransferError('same_place', message);
}

/** Source and target, opened; `from` is `undefined` if both share the blob store. */
interface OpenInstallations {
  readonly source: Database;
  readonly target: Database;
  readonly from: Pick<BlobStore, 'read'> | undefined;
  readonly to: BlobStore;
}

async function copyAll(
  opened: OpenInstallations,
  hasCatalog: boolean,
  options: MigrateOptions,
): Promise<Omit<Migrated, 'shared'>> {
  const { source, target, from, to } = opened;
  const { skipsLost, signal, onProgress } = options;
  const extent = await storedTotals(source);
  const copy =
    from === undefined
      ? { copiedFiles: 0, copiedBytes: 0, lost: [] }
      : await copyBlobs(referencedBlobs(source), { from, to }, { extent, signal, onProgress });
  const found = copy.lost.filter(({ isKnownLost }) => !isKnownLost);
  if (found.length > 0 && !skipsLost) {
    throw new TransferError('lost', 'The catalog was not copied, because these of its files are lost:', {
      lost: found,
    });
  }
  const lost = new Map(copy.lost.map((blob) => [blob.fileId, { datasetId: blob.datasetId, problem: problemOf(blob) }]));
  const rows = { find: to.find.bind(to), isSameStore: from === undefined, lost, signal };
  try {
    if (hasCatalog) await rewriteVersions(target, rows);
    else await copyCatalog(source, target, rows);
  } catch (error) {
    if (!(error instanceof BlobMissing)) throw error;
    const advice = from && ' Another process writes to the source or the target. Stop it and try again.';
    throw new TransferError('changed', `${error.message}${advice ?? ''}`, { cause: error });
  }
  return { ...extent, ...copy };
}

function openStore({ dataFolder = '', blobs }: Installation, { spoolFolder, onWarning }: MigrateOptions) {
  // A migration makes no links.
  const location = blobs.kind === 'disk' ? blobs : { ...blobs, isPresigned: false };
  return openBlobs({ dataFolder, blobs: location, spoolFolder }, (level, _facts, message) => {
    if (level === 'warn') onWarning?.(message);
  });
}

async function openForReading(from: Installation, options: MigrateOptions) {
  if (from.blobs.kind !== 'disk') return openStore(from, options);
  return DiskBlobs.readOnly(dataFolderPaths(requireFolder(from.dataFolder)).blobs);
}
