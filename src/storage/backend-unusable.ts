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
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** True if SQLite found that its file is damaged, or no database. */
export function isDamaged(error: unknown): error is Error {
  const code = sqliteCodeOf(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** True if another process holds a lock of the SQLite file. */
export function isBusy(error: unknown): boolean {
  return sqliteCodeOf(error) === SQLITE_BUSY;
}

/** The primary result code (https://sqlite.org/rescode.html) of an error that SQLite reported. */
export function sqliteCodeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
}
