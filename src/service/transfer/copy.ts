import { createHash, randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ServiceError } from '../../dataset/errors.js';
import { errorIn } from '../../dataset/problems.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { BlobChanged, type BlobReader, type BlobStore, type StoredObject } from '../../storage/blobs/blobs.js';
import { Catalog } from '../../storage/catalog/catalog.js';
import {
  BlobMissing,
  copyCatalog,
  isEmptyCatalog,
  linkKeyOf,
  type ReferencedBlob,
  referencedBlobs,
  removeCatalog,
  replaceCatalog,
  snapshotCatalog,
  storedTotals,
} from '../../storage/catalog/copy-catalog.js';
import { datasetsOfBlobs, fileWithBlob } from '../../storage/catalog/verification.js';
import { DATA_FOLDER_NAMES, dataFolderPaths, makePrivateFolder } from '../../storage/data-folder.js';
import type { Database } from '../../storage/database/database.js';
import { openSqlite } from '../../storage/database/sqlite.js';
import { FolderInUse, lockFolder } from '../../storage/folder-lock.js';
import { syncFolder } from '../../storage/folders.js';
import { openBlobReader, openBlobs } from '../../storage/open-blobs.js';
import { isUnreadable } from '../check.js';
import {
  displayNameOf,
  hasFolderOf,
  type Installation,
  isSameCatalog,
  isSameFolder,
  isSameStore,
  type LostBlob,
  openDatabase,
  requireExisting,
  requireFolder,
  TransferError,
} from './installation.js';

/** The name of a catalog until all its blobs are copied. */
const NEXT_CATALOG = 'catalog.next.sqlite';

/** Marks the backup of one installation; empty until the first backup knows which. */
const MARKER = 'backup.json';

export interface TransferOptions {
  /** From a data folder, which may be in use, to one that may have an earlier backup. The earlier backup stays valid until the end. */
  readonly isBackup: boolean;
  /** Goes on without lost files, between data folders: they have the problem `BYTES_LOST` in the copy. */
  readonly skipsLost: boolean;
  /** For uploads into a bucket. */
  readonly spoolFolder: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly onWarning?: (message: string) => void;
}

export type Copied = Awaited<ReturnType<typeof copy>>;

/** What source and target share is not copied; at most one of both. */
interface Shared {
  readonly catalog: boolean;
  readonly store: boolean;
}

interface Ends {
  readonly from: Installation;
  readonly to: Installation;
  readonly shared: Shared;
  /** The new catalog file; `undefined` if the catalog is a database, or stays. */
  readonly next: string | undefined;
}

/** Closes a resource at the end of the work. */
type Closing = <T extends { close(): Promise<void> }>(resource: T) => T;

/**
 * Copies an installation into an empty one, or into an earlier backup of it. The blobs come first and the catalog
 * last, so that the same call continues after an interruption. A shared catalog gets the new blob versions.
 *
 * @throws TransferError, ServiceError, BackendUnusable; the signal's reason
 */
export async function copy(from: Installation, to: Installation, options: TransferOptions) {
  const { isBackup } = options;
  const shared = { catalog: isSameCatalog(from, to), store: isSameStore(from, to) };
  if (shared.catalog && shared.store) {
    throw new TransferError('same_place', `Source and target are the same: ${await displayNameOf(from)}.`);
  }
  requireExisting(from);
  if (isBackup && hasFolderOf(from, to)) {
    const message = `${to.dataFolder} lies in the data folder ${from.dataFolder}, and would be lost with it. Name a folder outside.`;
    throw new TransferError('same_place', message);
  }
  const hasNext = !shared.catalog && to.databaseUrl === undefined;
  const next = hasNext ? join(requireFolder(to.dataFolder), NEXT_CATALOG) : undefined;
  const ends = { from, to, shared, next };
  await prepareFolder(ends, options);
  return withClosing(async (closing) => {
    if (to.dataFolder !== undefined) closing(lockDataFolder(to.dataFolder));
    if (from.dataFolder !== undefined && !isBackup && !isSameFolder(from, to)) closing(lockDataFolder(from.dataFolder));
    if (next !== undefined) closing({ close: () => removeCatalog(next) });
    const stores = shared.store ? undefined : await openStores(ends, options, closing);
    const copied = await copyUntilComplete(ends, stores, options);
    if (next !== undefined) await replaceCatalog(next, catalogOf(to));
    const removedFiles = isBackup && stores !== undefined ? await removeUnreferenced(catalogOf(to), stores.to) : 0;
    return { ...copied, removedFiles, shared };
  });
}

function catalogOf({ dataFolder }: Installation): string {
  return dataFolderPaths(requireFolder(dataFolder)).catalog;
}

async function withClosing<T>(work: (closing: Closing) => Promise<T>): Promise<T> {
  const resources: { close(): Promise<void> }[] = [];
  try {
    return await work((resource) => {
      resources.push(resource);
      return resource;
    });
  } finally {
    for (const resource of resources.reverse()) await resource.close();
  }
}

/** @throws TransferError `occupied` if the folder has other things than an interrupted copy or an earlier backup */
async function prepareFolder({ from, to, shared }: Ends, { isBackup, onWarning }: TransferOptions): Promise<void> {
  const { dataFolder: folder, databaseUrl, blobs } = to;
  if (folder === undefined) return;
  await makePrivateFolder(folder);
  if (isBackup && ((await stat(folder)).mode & 0o077) !== 0) {
    onWarning?.(
      `Other users of this machine can read the datasets in ${folder}. To prevent that, run: chmod 700 ${folder}`,
    );
  }
  if (isBackup && existsSync(join(folder, MARKER))) return;
  const { catalog, blobs: blobsFolder, spool, lock } = DATA_FOLDER_NAMES;
  const isOwn = (name: string) =>
    [spool, lock, `${lock}-journal`].includes(name) ||
    name.startsWith(NEXT_CATALOG) ||
    (blobs.kind === 'disk' && name === blobsFolder && !isBackup);
  const names = await readdir(folder);
  // In a shared folder, the other part of the source may stay.
  const other = isSameFolder(from, to)
    ? names.find((name) => name === catalog && databaseUrl === undefined && !shared.catalog)
    : names.find((name) => !isOwn(name));
  if (other !== undefined) {
    throw new TransferError('occupied', `${folder} already holds other files (${other}). Name a new or empty folder.`);
  }
  // From now on its files belong to the backup.
  if (isBackup) await writeFile(join(folder, MARKER), '', { mode: 0o600 });
}

async function openStores({ from, to }: Ends, options: TransferOptions, closing: Closing): Promise<BlobStores> {
  const { signal, spoolFolder } = options;
  const { dataFolder = '', blobs } = to;
  // A copy makes no links.
  const location = blobs.kind === 'disk' ? blobs : { ...blobs, isPresigned: false };
  const target = closing(await openBlobs({ dataFolder, blobs: location, spoolFolder }, () => {}));
  const source = closing(await openBlobReader({ dataFolder: from.dataFolder ?? '', blobs: from.blobs }));
  const areBuckets = from.blobs.kind !== 'disk' && blobs.kind !== 'disk';
  if (!areBuckets || !(await areOnePlace(target, source, signal))) return { from: source, to: target };
  // Nothing would be copied, and a person who deletes the old files deletes the new ones.
  const bucket = await displayNameOf({ dataFolder: undefined, databaseUrl: undefined, blobs });
  const message = `Source and target name one bucket in two ways: what is stored in ${bucket} of the target is also in that of the source. To leave the files where they are, name it in the same way in both.`;
  throw new TransferError('same_place', message);
}

/** Whether two buckets are one under two names, such as two endpoints. */
async function areOnePlace(one: BlobStore, other: BlobReader, signal: AbortSignal): Promise<boolean> {
  const key = `.staging/${randomUUID()}`;
  const staged = await one.stage(Readable.from([]), { key, limit: { bytes: 0, message: '' }, signal });
  try {
    await staged.commit();
    return (await other.find([key])).has(key);
  } finally {
    await one.delete([key]);
  }
}

/** Repeats until no file is missing. A server removes a file's row before its bytes, so a file of a later catalog is lost. */
async function copyUntilComplete(ends: Ends, stores: BlobStores | undefined, options: TransferOptions) {
  const missed = new Set<string>();
  let [copiedFiles, copiedBytes] = [0, 0];
  for (;;) {
    const copied = await withClosing(async (closing) => {
      const catalogs = await openCatalogs(ends, closing);
      await requireOwnTarget(ends, catalogs, { ...options, stores });
      const { source } = catalogs;
      const extent = await storedTotals(source);
      const blobs = stores && (await copyBlobs(referencedBlobs(source.run), stores, { ...options, extent }));
      copiedFiles += blobs?.copiedFiles ?? 0;
      copiedBytes += blobs?.copiedBytes ?? 0;
      const lost = blobs?.lost ?? [];
      const gone = options.isBackup ? lost.filter(({ key, reason }) => reason === 'missing' && !missed.has(key)) : [];
      for (const { key } of gone) missed.add(key);
      if (gone.length > 0) return undefined;
      await finishCatalog(catalogs, stores, { ...options, lost });
      return { ...extent, copiedFiles, copiedBytes, lost };
    });
    if (copied !== undefined) return copied;
    // Copies only the files that are new since then.
    options.onWarning?.('Files were removed meanwhile. Starting again with a newer catalog …');
  }
}

/** The same database twice if the catalog is copied already, or stays. */
interface Catalogs {
  readonly source: Database;
  readonly target: Database;
}

async function openCatalogs({ from, to, shared, next }: Ends, closing: Closing): Promise<Catalogs> {
  if (next !== undefined) await removeCatalog(next);
  if (next !== undefined && from.databaseUrl === undefined) {
    await snapshotCatalog(catalogOf(from), next);
    const snapshot = closing(await openSqlite(next, { isSingleFile: true }));
    return { source: snapshot, target: snapshot };
  }
  const source = closing(await openDatabase(from));
  if (shared.catalog) return { source, target: source };
  const opened = next === undefined ? openDatabase(to) : openSqlite(next, { isSingleFile: true });
  return { source, target: closing(await opened) };
}

/** @throws TransferError `not_found` if there is nothing to copy, `occupied` if the target belongs to another installation */
async function requireOwnTarget(
  { from, to }: Ends,
  { source, target }: Catalogs,
  { stores, isBackup, signal }: TransferOptions & { stores: BlobStores | undefined },
): Promise<void> {
  if (await isEmptyCatalog(source)) {
    throw new TransferError('not_found', `${await displayNameOf(from)} holds no datasets.`);
  }
  if (source !== target && !(await isEmptyCatalog(target))) {
    const advice = 'Name an empty target, or name a database that stays in the same way in both.';
    throw new TransferError('occupied', `${await displayNameOf(to)} already holds a catalog. ${advice}`);
  }
  if (isBackup) return claimFolder(requireFolder(to.dataFolder), source);
  if (stores === undefined) return;
  // `verify --repair` of the target would remove the files of the other installation.
  for await (const page of stores.to.objects()) {
    signal.throwIfAborted();
    const [other] = await unreferencedIn(page, source);
    if (other === undefined) continue;
    const message = `${await displayNameOf(to)} already holds files that the source does not name, such as ${other.name}. They may be those of another installation. Name an empty folder, bucket or prefix. If an interrupted run has left them, and they were deleted in the source since then, remove them first.`;
    throw new TransferError('occupied', message);
  }
}

/** Ties a backup to one installation. @throws TransferError `occupied` */
async function claimFolder(folder: string, catalog: Database): Promise<void> {
  const text = await readFile(join(folder, MARKER), 'utf8');
  const secret = await linkKeyOf(catalog);
  const installation = secret && createHash('sha256').update(secret).digest('hex').slice(0, 16);
  const marker = `${JSON.stringify({ trainyard_backup: 1, installation })}\n`;
  if (text === marker) return;
  if (text !== '') {
    const message = `${folder} is the backup of another installation, or its ${MARKER} is damaged. Use a separate folder for each.`;
    throw new TransferError('occupied', message);
  }
  await writeFile(join(folder, MARKER), marker, { flush: true });
  await syncFolder(folder);
}

async function finishCatalog(
  { source, target }: Catalogs,
  stores: BlobStores | undefined,
  { lost, skipsLost, signal }: TransferOptions & { lost: readonly LostBlob[] },
): Promise<void> {
  const found = lost.filter(({ isKnownLost }) => !isKnownLost);
  if (found.length > 0 && !skipsLost) {
    throw new TransferError('lost', 'The catalog was not copied, because these of its files are lost:', {
      lost: found,
    });
  }
  for (const blob of found) await recordLost(source, blob);
  try {
    await copyCatalog(source, target, { find: stores && ((keys) => stores.to.find(keys)), signal });
  } catch (error) {
    if (!(error instanceof BlobMissing)) throw error;
    const advice = 'Another process writes to the source or the target. Stop it and try again.';
    throw new TransferError('changed', `${error.message} ${advice}`, { cause: error });
  }
}

/** A received file stays: its check finds that its bytes are lost. */
async function recordLost(database: Database, { fileId, filename, reason }: LostBlob): Promise<void> {
  const file = await fileWithBlob(database, fileId);
  if (file === undefined) return;
  const message = `${filename} was ${reason} in the backup that this dataset was restored from. Upload it again.`;
  const catalog = new Catalog(database, { blobGrace: 0 });
  await catalog.recordBytes(file, errorIn(filename, 'BYTES_LOST', message), Date.now() * 1000);
}

/** Removes what a backup no longer names. @returns how many */
async function removeUnreferenced(catalog: string, blobs: BlobStore): Promise<number> {
  const database = await openSqlite(catalog, { isSingleFile: true });
  let removed = 0;
  try {
    for await (const page of blobs.objects()) {
      const unreferenced = await unreferencedIn(page, database);
      for (const object of unreferenced) await blobs.remove(object);
      removed += unreferenced.length;
    }
  } finally {
    await database.close();
  }
  return removed;
}

/** The blobs and thumbnails that a catalog does not name. */
async function unreferencedIn(page: readonly StoredObject[], catalog: Database): Promise<StoredObject[]> {
  const stored = page.filter(({ kind }) => kind === 'blob' || kind === 'thumbnail');
  const ids = stored.flatMap(({ fileId }) => fileId ?? []);
  const named = await datasetsOfBlobs(catalog, ids);
  return stored.filter(({ fileId }) => fileId === undefined || !named.has(fileId));
}

/** Enough to hide the latency of a request or of an fsync. */
const MAX_COPIES = 16;

export interface CopyProgress {
  readonly totalFiles: number;
  readonly totalBytes: number;
  /** Complete in the target, copied now or earlier. */
  readonly doneFiles: number;
  readonly doneBytes: number;
}

interface BlobStores {
  readonly from: Pick<BlobReader, 'read'>;
  readonly to: BlobStore;
}

/**
 * Copies the blobs that the target lacks. Each gets its name after its size and SHA-256 were checked, so that an interrupted
 * copy can continue. Lost blobs are collected, not thrown, and blobs that the target had already are not counted.
 *
 * @throws ServiceError of either store; the signal's reason
 */
export async function copyBlobs(
  pages: AsyncIterable<readonly ReferencedBlob[]>,
  stores: BlobStores,
  options: {
    extent: { files: number; bytes: number };
    signal: AbortSignal;
    onProgress?: ((progress: CopyProgress) => void) | undefined;
  },
): Promise<{ copiedFiles: number; copiedBytes: number; lost: readonly LostBlob[] }> {
  const { extent, signal, onProgress } = options;
  // Every copy adds a listener.
  setMaxListeners(0, signal);
  const lost: LostBlob[] = [];
  let [copiedFiles, copiedBytes, doneFiles, doneBytes] = [0, 0, 0, 0];
  const done = (sizeBytes: number) => {
    doneFiles++;
    doneBytes += sizeBytes;
    onProgress?.({ totalFiles: extent.files, totalBytes: extent.bytes, doneFiles, doneBytes });
  };
  async function* missing(): AsyncGenerator<ReferencedBlob> {
    for await (const page of pages) {
      signal.throwIfAborted();
      const found = await stores.to.find(page.map(({ key }) => key));
      for (const blob of page) {
        const existing = found.get(blob.key);
        // A disk that lost bytes in a crash may have a blob of another size.
        if (existing !== undefined && existing.sizeBytes !== blob.sizeBytes) await stores.to.delete([blob.key]);
        if (existing?.sizeBytes === blob.sizeBytes) done(blob.sizeBytes);
        else yield blob;
      }
    }
  }
  await forEachConcurrent(missing(), MAX_COPIES, async (blob) => {
    signal.throwIfAborted();
    const reason = await copyBlob(blob, stores, signal);
    if (reason !== undefined) {
      lost.push({ ...blob, reason });
      return;
    }
    copiedFiles++;
    copiedBytes += blob.sizeBytes;
    done(blob.sizeBytes);
  });
  signal.throwIfAborted();
  return { copiedFiles, copiedBytes, lost };
}

class BlobLost extends Error {
  readonly reason: LostBlob['reason'];

  constructor(reason: LostBlob['reason']) {
    super(`The bytes are ${reason}.`);
    this.reason = reason;
  }
}

/** @returns why the blob is lost */
async function copyBlob(
  { key, sizeBytes, sha256, filename }: ReferencedBlob,
  { from, to }: BlobStores,
  signal: AbortSignal,
): Promise<LostBlob['reason'] | undefined> {
  const limit = { bytes: sizeBytes, message: `${filename} is larger than it was when it was uploaded.` };
  try {
    const body = Readable.from(bytesOf(from, key, signal), { objectMode: false });
    const staged = await to.stage(body, { key, limit, signal });
    if (staged.sizeBytes !== sizeBytes || staged.sha256 !== sha256) {
      await staged.discard();
      return 'damaged';
    }
    await staged.commit();
  } catch (error) {
    if (error instanceof BlobLost) return error.reason;
    if (!(error instanceof ServiceError)) throw error;
    if (error.code === 'too_large') return 'damaged';
    // Another process has copied the same blob.
    if (error.code !== 'upload_finalized') throw error;
  }
  return undefined;
}

/** Opens a blob when it is read: a store closes a connection whose body is not read. @throws BlobLost */
async function* bytesOf(from: BlobStores['from'], key: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    const source = await from.read(key, { signal });
    if (source === undefined) throw new BlobLost('missing');
    yield* source;
  } catch (error) {
    throw isUnreadable(error) || error instanceof BlobChanged ? new BlobLost('damaged') : error;
  }
}

/** Locks a data folder against other processes until it is closed. @throws TransferError `in_use` */
function lockDataFolder(folder: string): { close: () => Promise<void> } {
  try {
    const lock = lockFolder(dataFolderPaths(folder).lock);
    return { close: async () => lock.release() };
  } catch (error) {
    if (!(error instanceof FolderInUse)) throw error;
    const message = `${folder} is in use by another process, such as a server. Stop that process first.`;
    throw new TransferError('in_use', message, { cause: error });
  }
}
