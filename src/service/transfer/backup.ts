import { createHash } from 'node:crypto';
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hasErrno } from '../../dataset/errors.js';
import { DiskBlobs } from '../../storage/blobs/disk/disk-blobs.js';
import {
  deleteOrphanedBlobs,
  linkKeyOf,
  replaceCatalog,
  snapshotCatalog,
} from '../../storage/catalog/catalog-snapshot.js';
import { referencedBlobs, storedTotals } from '../../storage/catalog/copy-catalog.js';
import { trashDeleted } from '../../storage/catalog/trash-deleted.js';
import { DATA_FOLDER_NAMES, dataFolderPaths, makePrivateFolder } from '../../storage/data-folder.js';
import type { Database } from '../../storage/database/database.js';
import { openSqlite } from '../../storage/database/sqlite.js';
import { syncFolder } from '../../storage/sync-folder.js';
import { type CopyProgress, copyBlobs, type LostBlob } from './copy-blobs.js';
import { lockFolders, requireExisting, TransferError } from './installation.js';

const MARKER = 'backup.json';
/** Becomes the marker by a rename. A first backup that is killed before that leaves it alone in the folder. */
const NEXT_MARKER = 'backup.json.next';
const NEXT_CATALOG = 'catalog.next.sqlite';

/** Each round copies only the files that are new since the round before. */
const MAX_ROUNDS = 100;

/** The content of `backup.json`, which marks a folder as a backup. */
const Marker = z.object({ trainyard_backup: z.literal(1), installation: z.string().optional() });

export interface BackupOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
  /** Called if files were removed before they were copied, so that a newer snapshot of the catalog is needed. */
  readonly onRound?: () => void;
  readonly onWarning?: (message: string) => void;
}

export interface BackedUp {
  readonly files: number;
  readonly bytes: number;
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  /** Files of an earlier backup that the catalog no longer names. */
  readonly removedFiles: number;
  /** Files that the catalog names but neither folder has undamaged. */
  readonly lost: readonly LostBlob[];
}

/**
 * Copies a data folder as it is at one moment into `folder`, even while a server uses it. The backup is itself a data folder.
 * An earlier backup there stays valid until its catalog is replaced atomically, and its files are not copied again.
 *
 * @throws TransferError, ServiceError; the signal's reason
 */
export async function backUp(dataFolder: string, folder: string, options: BackupOptions): Promise<BackedUp> {
  requireExisting({ dataFolder, databaseUrl: undefined, blobs: { kind: 'disk' } });
  await makePrivateFolder(folder);
  if (((await stat(folder)).mode & 0o077) !== 0) {
    const message = `Other users of this machine can read the datasets in ${folder}. To prevent that, run: chmod 700 ${folder}`;
    options.onWarning?.(message);
  }
  const paths = dataFolderPaths(folder);
  const marker = await markerIn(folder);
  const release = lockFolders([folder]);
  let blobs: DiskBlobs | undefined;
  try {
    if (marker === undefined) await writeMarker(folder, {});
    blobs = await DiskBlobs.open(paths.blobs);
    const copied = await copyUntilComplete(dataFolder, { folder, marker, blobs }, options);
    await replaceCatalog(join(folder, NEXT_CATALOG), paths.catalog);
    const catalog = await openSqlite(paths.catalog, { isSingleFile: true });
    const removedFiles = await deleteOrphanedBlobs(catalog, paths.blobs).finally(() => catalog.close());
    return { ...copied, removedFiles };
  } finally {
    await blobs?.close();
    release();
  }
}

/**
 * Takes snapshots of the catalog until all files of one are copied. The server removes a file from the catalog before it
 * removes the bytes. So a missing file is lost if a later snapshot still names it.
 */
async function copyUntilComplete(
  dataFolder: string,
  { folder, marker, blobs }: { folder: string; marker: Marker | undefined; blobs: DiskBlobs },
  { signal, onProgress, onRound }: BackupOptions,
): Promise<Omit<BackedUp, 'removedFiles'>> {
  const source = dataFolderPaths(dataFolder);
  const stores = { from: DiskBlobs.readOnly(source.blobs), to: blobs };
  const missed = new Set<string>();
  let [copiedFiles, copiedBytes] = [0, 0];
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    if (round > 1) onRound?.();
    await snapshotCatalog(source.catalog, join(folder, NEXT_CATALOG));
    const catalog = await openSqlite(join(folder, NEXT_CATALOG), { isSingleFile: true });
    try {
      if (round === 1) await claimFolder(folder, marker, catalog);
      // The files of deleted datasets are not copied.
      await trashDeleted(catalog, { blobGrace: 0, signal });
      signal.throwIfAborted();
      const extent = await storedTotals(catalog);
      const copy = await copyBlobs(referencedBlobs(catalog), stores, { extent, signal, onProgress });
      copiedFiles += copy.copiedFiles;
      copiedBytes += copy.copiedBytes;
      const removed = copy.lost.filter(({ key, reason }) => reason === 'missing' && !missed.has(key));
      if (removed.length === 0) return { ...extent, copiedFiles, copiedBytes, lost: copy.lost };
      for (const { key } of removed) missed.add(key);
    } finally {
      await catalog.close();
    }
  }
  const advice = 'Start the server with a larger --blob-grace-seconds and run the backup again.';
  throw new TransferError('changed', `Files are removed faster than they can be copied. ${advice}`);
}

/** Ties the backup to one installation. @throws TransferError `occupied` if the folder belongs to another one */
async function claimFolder(folder: string, marker: Marker | undefined, catalog: Database): Promise<void> {
  const secret = await linkKeyOf(catalog);
  const installation = secret && createHash('sha256').update(secret).digest('hex').slice(0, 16);
  if (installation === undefined || marker?.installation === installation) return;
  if (marker?.installation === undefined) return writeMarker(folder, { installation });
  const message = `${folder} is the backup of another installation. Use a separate folder for each.`;
  throw new TransferError('occupied', message);
}

type Marker = z.infer<typeof Marker>;

/** @throws TransferError `occupied` if the folder holds files but no backup of this format */
async function markerIn(folder: string): Promise<Marker | undefined> {
  const text = await readFile(join(folder, MARKER), 'utf8').catch((error) => {
    if (!hasErrno(error, 'ENOENT')) throw error;
  });
  if (text === undefined) {
    const isOwn = (name: string) => name === NEXT_MARKER || name.startsWith(DATA_FOLDER_NAMES.lock);
    const other = (await readdir(folder)).find((name) => !isOwn(name));
    if (other === undefined) return undefined;
    throw new TransferError('occupied', `${folder} already holds other files (${other}). Name a new or empty folder.`);
  }
  const marker = Marker.safeParse(parsedJson(text));
  if (marker.success) return marker.data;
  const message = `${folder} was made by another version of trainyard, or its ${MARKER} is damaged. Name a new or empty folder.`;
  throw new TransferError('occupied', message);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function writeMarker(folder: string, marker: Omit<Marker, 'trainyard_backup'>): Promise<void> {
  const next = join(folder, NEXT_MARKER);
  const text = `${JSON.stringify({ trainyard_backup: 1, ...marker })}\n`;
  await writeFile(next, text, { mode: 0o600, flush: true });
  await rename(next, join(folder, MARKER));
  await syncFolder(folder);
}
