import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { hasErrno } from '../dataset/errors.js';

/** The database or the blob store can't be used as configured. The message names it without its password. */
export class BackendUnusable extends Error {
  /** True if it may become usable without a change to the settings. */
  readonly isTemporary: boolean;

  constructor(message: string, options: ErrorOptions & { isTemporary: boolean }) {
    super(message, options);
    this.name = 'BackendUnusable';
    this.isTemporary = options.isTemporary;
  }
}

/**
 * Why a database failed.
 *
 * - `busy`: another process holds a lock of the SQLite file
 * - `no_access`: the SQLite file can't be opened or written
 * - `io`: the disk of the SQLite file reports an error
 * - `damaged`: the SQLite file is damaged, or no database
 * - `full`: the disk of the database is full
 * - `read_only`: Postgres became a standby in a failover, or the role or the database is set to read only
 * - `rejected`: Postgres turns the service away until its operator changes something
 * - `unavailable`: Postgres reported a failure that may be over when the caller tries again
 */
export type DatabaseFault = 'busy' | 'no_access' | 'io' | 'damaged' | 'full' | 'read_only' | 'rejected' | 'unavailable';

/** By primary result code (https://sqlite.org/rescode.html) and text: the driver gives errors of reads without a code. */
const SQLITE_FAULTS: readonly (readonly [code: number, text: string, fault: DatabaseFault])[] = [
  [5, 'database is locked', 'busy'],
  [8, 'attempt to write a readonly database', 'no_access'],
  [10, 'disk I/O error', 'io'],
  [11, 'database disk image is malformed', 'damaged'],
  [13, 'database or disk is full', 'full'],
  [14, 'unable to open database file', 'no_access'],
  [26, 'file is not a database', 'damaged'],
];

/** By the SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html). The first that matches decides. */
const POSTGRES_FAULTS: readonly (readonly [RegExp, DatabaseFault])[] = [
  [/^53100/, 'full'],
  [/^25006/, 'read_only'],
  // The role or its password; no such database, or one that accepts no connections; a missing privilege; no tables.
  [/^(28|3D000|55000|42501|42P01|3F000)/, 'rejected'],
  // Connections, resources, interventions and system errors; timeouts; serialization failures and deadlocks.
  [/^(08|53|57|58|55P03|25P03|25P04|40001|40P01)/, 'unavailable'],
];

/** The fault that SQLite or Postgres reported; `undefined` for violated constraints and other errors. */
export function databaseFaultOf(error: unknown): DatabaseFault | undefined {
  const state = sqlStateOf(error);
  if (state !== undefined) return POSTGRES_FAULTS.find(([pattern]) => pattern.test(state))?.[1];
  if (!(error instanceof Error)) return undefined;
  const code = 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
  const hasTextOnly = code === undefined && 'code' in error && error.code === 'ERR_SQLITE_ERROR';
  const found = SQLITE_FAULTS.find(([known, text]) => known === code || (hasTextOnly && text === error.message));
  return found?.[2];
}

/** The five-character SQLSTATE of an error that Postgres reported; `undefined` for other errors. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined;
  return String(error.code);
}

/** The message for a SQLite error whose cause is a read-only folder; `undefined` for other errors. */
export function readOnlyFolderIn(error: unknown, path: string): string | undefined {
  if (databaseFaultOf(error) !== 'no_access') return undefined;
  const folder = dirname(path);
  try {
    accessSync(folder, constants.W_OK);
    return undefined;
  } catch (cause) {
    if (!hasErrno(cause, 'EROFS', 'EACCES')) return undefined;
    return `${folder} can't be written, and SQLite needs that also to read. Make it writable, or copy the folder to another disk and name the copy.`;
  }
}
