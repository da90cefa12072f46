import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ReferencedBlob } from '../../storage/catalog/copy-catalog.js';
import { dataFolderPaths, missingData } from '../../storage/data-folder.js';
import type { Database } from '../../storage/database/database.js';
import type { BlobsLocation } from '../../storage/open-blobs.js';

/** A file whose bytes are missing or damaged. */
export interface LostBlob extends ReferencedBlob {
  readonly reason: 'missing' | 'damaged';
}

export type TransferErrorCode = 'not_found' | 'occupied' | 'in_use' | 'same_place' | 'changed' | 'lost';

export class TransferError extends Error {
  readonly code: TransferErrorCode;
  /** The files of code `lost`. */
  readonly lost: readonly LostBlob[];

  constructor(code: TransferErrorCode, message: string, options: ErrorOptions & { lost?: readonly LostBlob[] } = {}) {
    super(message, options);
    this.name = 'TransferError';
    this.code = code;
    this.lost = options.lost ?? [];
  }
}

/** A catalog and a blob store, which may be empty or not exist. */
export interface Installation {
  /** An absolute path, for the catalog without `databaseUrl` and the blobs of kind `disk`. */
  readonly dataFolder: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly blobs: BlobsLocation;
}

/** Without passwords. */
export async function displayNameOf({ dataFolder, databaseUrl, blobs }: Installation): Promise<string> {
  const database = databaseUrl && (await import('../../storage/database/postgres.js')).databaseNameOf(databaseUrl);
  const bucket = blobs.kind === 'disk' ? undefined : `s3://${blobs.bucket}/${blobs.prefix}`;
  return [dataFolder, database, bucket].filter((part) => part !== undefined).join(' ');
}

/** @throws TransferError `not_found` if the data folder has no catalog or no blobs */
export function requireExisting({ dataFolder, databaseUrl, blobs }: Installation): void {
  if (dataFolder === undefined) return;
  const message = missingData(dataFolder, [
    ...(databaseUrl === undefined ? (['catalog'] as const) : []),
    ...(blobs.kind === 'disk' ? (['blobs'] as const) : []),
  ]);
  if (message !== undefined) throw new TransferError('not_found', message);
}

/** @throws TransferError `in_use` if a server is connected to the database; BackendUnusable */
export async function openDatabase({ dataFolder, databaseUrl }: Installation): Promise<Database> {
  if (databaseUrl === undefined) {
    const { openSqlite } = await import('../../storage/database/sqlite.js');
    return openSqlite(dataFolderPaths(requireFolder(dataFolder)).catalog);
  }
  const { databaseNameOf, isServed, openPostgres, transferUrlOf } = await import('../../storage/database/postgres.js');
  const database = await openPostgres(transferUrlOf(databaseUrl));
  if (!(await isServed(database))) return database;
  await database.close();
  const message = `The database ${databaseNameOf(databaseUrl)} is being served. Stop every instance that uses it.`;
  throw new TransferError('in_use', message);
}

export function requireFolder(dataFolder: string | undefined): string {
  if (dataFolder === undefined) throw new Error('This installation has no data folder.');
  return dataFolder;
}

/** Compares how the catalogs are named. */
export function isSameCatalog(a: Installation, b: Installation): boolean {
  if (a.databaseUrl !== undefined || b.databaseUrl !== undefined) return a.databaseUrl === b.databaseUrl;
  return isSameFolder(a, b);
}

/** Compares how the stores are named. */
export function isSameStore(a: Installation, b: Installation): boolean {
  if (a.blobs.kind === 'disk' || b.blobs.kind === 'disk') return a.blobs.kind === b.blobs.kind && isSameFolder(a, b);
  const locationOf = ({ bucket, prefix, endpoint }: typeof a.blobs) => ({ bucket, prefix, endpoint });
  return isDeepStrictEqual(locationOf(a.blobs), locationOf(b.blobs));
}

export function isSameFolder({ dataFolder: a }: Installation, { dataFolder: b }: Installation): boolean {
  return a !== undefined && b !== undefined && realpathOf(a) === realpathOf(b);
}

/** Whether the data folder of `b` lies in that of `a`. */
export function hasFolderOf({ dataFolder: a }: Installation, { dataFolder: b }: Installation): boolean {
  return a !== undefined && b !== undefined && realpathOf(b).startsWith(join(realpathOf(a), '/'));
}

/** The parents of a folder may exist alone. */
function realpathOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realpathOf(dirname(path)), basename(path));
}
