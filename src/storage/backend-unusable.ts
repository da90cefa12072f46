import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { hasErrno } from '../dataset/errors.js';

/** The database or the blob store can't be used as configured. The message names it, without its password, and says why. */
export class BackendUnusable extends Error {
  /** It may become usable without a change to the settings. */
  readonly isTemporary: boolean;

  constructor(message: string, options: ErrorOptions & { isTemporary: boolean }) {
    super(message, options);
    this.name = 'BackendUnusable';
    this.isTemporary = options.isTemporary;
  }
}

const SQLITE_BUSY = 5;
export const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
export const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** The driver gives no result code with what fails while rows are read, only the text of https://sqlite.org/c3ref/errcode.html. */
const CODE_OF_MESSAGE = new Map([
  ['database is locked', SQLITE_BUSY],
  ['attempt to write a readonly database', SQLITE_READONLY],
  ['disk I/O error', SQLITE_IOERR],
  ['database disk image is malformed', SQLITE_CORRUPT],
  ['database or disk is full', SQLITE_FULL],
  ['unable to open database file', SQLITE_CANTOPEN],
  ['file is not a database', SQLITE_NOTADB],
]);

/** True if SQLite found that its file is damaged, or no database. */
export function isDamaged(error: unknown): error is Error {
  const code = sqliteCodeOf(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** True if another process holds a lock of the SQLite file. */
export function isBusy(error: unknown): boolean {
  return sqliteCodeOf(error) === SQLITE_BUSY;
}

/** True if the disk of the SQLite file reports an error. */
export function isIoError(error: unknown): error is Error {
  return sqliteCodeOf(error) === SQLITE_IOERR;
}

/** The message for an error of SQLite that has the cause that the folder of its file can't be written; `undefined` for others. */
export function readOnlyFolderIn(error: unknown, path: string): string | undefined {
  const code = sqliteCodeOf(error);
  if (code !== SQLITE_CANTOPEN && code !== SQLITE_READONLY) return undefined;
  const folder = dirname(path);
  try {
    accessSync(folder, constants.W_OK);
    return undefined;
  } catch (cause) {
    if (!hasErrno(cause, 'EROFS', 'EACCES')) return undefined;
    return `${folder} can't be written, and SQLite needs that also to read. Make it writable, or copy the folder to another disk and name the copy.`;
  }
}

/** True if the disk of the database is full. */
export function isDatabaseFull(error: unknown): error is Error {
  return sqliteCodeOf(error) === SQLITE_FULL || sqlStateOf(error) === POSTGRES_DISK_FULL;
}

/**
 * The primary result code (https://sqlite.org/rescode.html) of an error that SQLite reported; `undefined` for other errors, and
 * for those of constraints.
 */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('errcode' in error) return Number(error.errcode) & 0xff;
  return 'code' in error && error.code === 'ERR_SQLITE_ERROR' ? CODE_OF_MESSAGE.get(error.message) : undefined;
}

/** The five-character SQLSTATE of an error that Postgres reported; `undefined` for other errors. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined;
  return String(error.code);
}

/**
 * The SQLSTATEs of temporary failures (https://www.postgresql.org/docs/current/errcodes-appendix.html): connection
 * exceptions (08), insufficient resources (53), operator intervention (57), system errors (58), a lock timeout (55P03), an
 * idle transaction timeout (25P03) or one of a transaction (25P04), a read-only server (25006), serialization failures and
 * deadlocks (40).
 */
const POSTGRES_UNAVAILABLE = /^(08|53|57|58|55P03|25P03|25P04|25006|40001|40P01)/;
const POSTGRES_READ_ONLY = '25006';
const POSTGRES_DISK_FULL = '53100';
/**
 * The SQLSTATEs by which Postgres turns the service away until its operator changes something: the role or its password (28), no
 * database of that name (3D000) or one that accepts no connections (55000), a missing privilege (42501), no tables in the
 * schemas of the search path (42P01, 3F000).
 */
const POSTGRES_REJECTED = /^(28|3D000|55000|42501|42P01|3F000)/;

/** True if Postgres turns the service away, and will until its operator changes something. */
export function isRejected(error: unknown): error is Error {
  return POSTGRES_REJECTED.test(sqlStateOf(error) ?? '');
}

/** True if Postgres refuses to write: it became a standby in a failover, or the role or the database is set to read only. */
export function isReadOnlyServer(error: unknown): error is Error {
  return sqlStateOf(error) === POSTGRES_READ_ONLY;
}

/** True for a failure that Postgres reported, and that may be over when the caller tries again. */
export function isUnavailable(error: unknown): error is Error {
  return POSTGRES_UNAVAILABLE.test(sqlStateOf(error) ?? '');
}
