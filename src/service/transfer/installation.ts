import { existsSync, realpathSync } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { BlobsLocation } from '../../storage/blobs/open-blobs.js';
import type { Database } from '../../storage/database/database.js';
import { FolderInUse, lockFolder } from '../../storage/folder-lock.js';
import { TransferError } from './transfer-error.js';

/** Where a catalog and its bytes are, or are to be. */
export interface Installation {
  /** Holds whichever of the two has no place of its own; absolute. */
  readonly dataFolder: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly blobs: BlobsLocation;
}

export const CATALOG = 'catalog.sqlite';
export const BLOBS = 'blobs';
const LOCK = 'serving.lock';

/** All that we ever put into a data folder. */
const OURS = new RegExp(`^(${CATALOG}(-wal|-shm|-journal)?|${BLOBS}|tmp|${LOCK}(-journal)?)$`);

/** A place as it may be shown: without passwords. */
export async function displayNameOf({ dataFolder, databaseUrl, blobs }: Installation): Promise<string> {
  const parts = [
    ...(dataFolder === undefined ? [] : [dataFolder]),
    ...(databaseUrl === undefined
      ? []
      : [(await import('../../storage/database/postgres.js')).databaseNameOf(databaseUrl)]),
    ...(blobs.kind === 'disk' ? [] : [`s3://${blobs.bucket}/${blobs.prefix}`]),
  ];
  return parts.join(' ');
}

/** @throws TransferError `not_found` where a folder is none of ours, rather than making it one */
export function mustExist(place: Installation): void {
  const { dataFolder, databaseUrl, blobs } = place;
  if (dataFolder === undefined) return;
  const missing = [...(databaseUrl === undefined ? [CATALOG] : []), ...(blobs.kind === 'disk' ? [BLOBS] : [])].find(
    (name) => !existsSync(join(dataFolder, name)),
  );
  if (missing !== undefined) {
    throw new TransferError('not_found', `${dataFolder} holds no datasets: it has no ${missing}.`);
  }
}

/**
 * Makes a folder that is missing, for nobody else to look into.
 *
 * @throws TransferError `occupied` where there is something in it that is not ours
 */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const other = (await readdir(folder)).find((name) => !OURS.test(name));
  if (other === undefined) return;
  throw new TransferError('occupied', `${folder} holds something else (${other}). Name a folder that is new or empty.`);
}

/**
 * Keeps servers, and others like us, out of folders.
 *
 * @returns how to let them go
 * @throws TransferError `in_use`
 */
export function lockFolders(folders: readonly string[]): () => void {
  const locks: { release: () => void }[] = [];
  const release = () => {
    for (const lock of locks) lock.release();
  };
  for (const folder of new Set(folders.map((path) => realpathSync(path)))) {
    try {
      locks.push(lockFolder(join(folder, LOCK)));
    } catch (error) {
      release();
      if (!(error instanceof FolderInUse)) throw error;
      throw new TransferError('in_use', `${folder} is in use by another process, such as a server. Stop that first.`, {
        cause: error,
      });
    }
  }
  return release;
}

/** @throws TransferError `in_use` where a process of ours is at work on the database; BackendUnusable */
export async function openDatabase({ dataFolder, databaseUrl }: Installation): Promise<Database> {
  if (databaseUrl === undefined) {
    const { openSqlite } = await import('../../storage/database/sqlite.js');
    return openSqlite(join(requireFolder(dataFolder), CATALOG));
  }
  const [{ databaseNameOf: nameOfDatabase, openPostgres }, { isServed, urlApart }] = await Promise.all([
    import('../../storage/database/postgres.js'),
    import('../../storage/database/postgres-instances.js'),
  ]);
  const database = await openPostgres(urlApart(databaseUrl));
  if (!(await isServed(database))) return database;
  await database.close();
  throw new TransferError(
    'in_use',
    `The database ${nameOfDatabase(databaseUrl)} is being served. Stop every instance on it first.`,
  );
}

export function requireFolder(dataFolder: string | undefined): string {
  if (dataFolder === undefined) throw new Error('A place without a folder keeps nothing in it.');
  return dataFolder;
}

export function isSameCatalog(a: Installation, b: Installation): boolean {
  if (a.databaseUrl === undefined || b.databaseUrl === undefined) {
    return a.databaseUrl === b.databaseUrl && isSameFolder(a.dataFolder, b.dataFolder);
  }
  const [one, other] = [new URL(a.databaseUrl), new URL(b.databaseUrl)];
  return one.host === other.host && one.pathname === other.pathname;
}

export function isSameStore(a: Installation, b: Installation): boolean {
  if (a.blobs.kind === 'disk' || b.blobs.kind === 'disk') {
    return a.blobs.kind === b.blobs.kind && isSameFolder(a.dataFolder, b.dataFolder);
  }
  const placeOf = ({ bucket, prefix, endpoint }: typeof a.blobs) => ({ bucket, prefix, endpoint });
  return isDeepStrictEqual(placeOf(a.blobs), placeOf(b.blobs));
}

function isSameFolder(a: string | undefined, b: string | undefined): boolean {
  return realpathOf(requireFolder(a)) === realpathOf(requireFolder(b));
}

function realpathOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

/** Makes the names in a folder outlive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path);
  await handle.sync();
  await handle.close();
}
