import { statSync } from 'node:fs';
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite';
import type { SqliteStatement } from 'kysely';
import { ServiceError } from '../../dataset/errors.js';
import { withoutNul } from './without-nul.js';

/** The catalog has a few dozen statements, and bulk inserts of different lengths add more. */
const MAX_CACHED_STATEMENTS = 200;

export interface SqliteFileOptions {
  readonly journalMode: 'wal' | 'delete';
  /** Of pages in memory; by default that of SQLite, 2 MB. */
  readonly cacheMegabytes?: number | undefined;
}

export type SqliteFile = ReturnType<typeof openSqliteFile>;

/** Opens a file for reading and writing. */
export function openSqliteFile(path: string, { journalMode, cacheMegabytes }: SqliteFileOptions) {
  const db = new DatabaseSync(path);
  // Opening a file after a crash takes an exclusive lock for a moment.
  db.exec('pragma busy_timeout = 5000');
  db.exec(`pragma journal_mode = ${journalMode}`);
  db.exec('pragma busy_timeout = 0');
  db.exec('pragma synchronous = full');
  db.exec('pragma foreign_keys = on');
  // Negative: in KiB, not in pages (https://www.sqlite.org/pragma.html#pragma_cache_size).
  if (cacheMegabytes !== undefined) db.exec(`pragma cache_size = ${-1024 * cacheMegabytes}`);
  const { ino } = statSync(path);
  const { prepare, run, forget } = statementsOf(db);
  return {
    prepare,
    run,
    /** Threads of this process that write to the file for some time, each with a connection of its own. */
    otherWriters: 0,
    /** SQLite continues to write to a file whose folder was deleted or replaced. @throws ServiceError `unavailable` */
    requireInPlace: (): void => {
      if (statSync(path, { throwIfNoEntry: false })?.ino !== ino) {
        throw new ServiceError(
          'unavailable',
          `The catalog is no longer at ${path}. Restore it and restart the server.`,
        );
      }
    },
    close: () => {
      forget();
      // Moves the write-ahead log into the database, so that a copy of this one file is complete.
      if (journalMode === 'wal') db.exec('pragma wal_checkpoint(truncate)');
      db.close();
    },
  };
}

/** Opens a file for one transaction that reads. */
export function openForReading(path: string) {
  const db = new DatabaseSync(path, { readOnly: true });
  const { prepare, run, forget } = statementsOf(db);
  return {
    prepare,
    run,
    close: () => {
      forget();
      db.close();
    },
  };
}

/** Prepares each statement once. */
function statementsOf(db: DatabaseSyncInstance) {
  const cache = new Map<string, Prepared>();
  const prepare = (sql: string): Prepared => {
    const cached = cache.get(sql);
    if (cached !== undefined) return cached;
    const statement = adapt(db.prepare(sql));
    const oldest = cache.keys().next();
    if (cache.size >= MAX_CACHED_STATEMENTS && !oldest.done) cache.delete(oldest.value);
    cache.set(sql, statement);
    return statement;
  };
  return {
    prepare,
    /** Runs a statement that has no parameters and returns no rows. */
    run: (sql: string): void => void prepare(sql).run([]),
    forget: () => cache.clear(),
  };
}

interface Prepared extends SqliteStatement {
  readonly columns: readonly string[];
  /** Those of columns of a table that are text, and computed ones. */
  readonly textColumns: readonly string[];
  iterate(parameters: readonly unknown[]): IterableIterator<Record<string, unknown>>;
}

function adapt(statement: StatementSyncInstance): Prepared {
  const described = statement.columns();
  const columns = described.map(({ name }) => name);
  // Building objects from arrays here takes a third of the time that the native code takes to set each key.
  statement.setReturnArrays(true);
  const toObject = (row: unknown) => objectOf(columns, row as unknown[]);
  const bound = (parameters: readonly unknown[]) => parameters.map(withoutNul) as never[];
  return {
    columns,
    textColumns: described.flatMap(({ name, type }) => (type === null || /^text$/i.test(type) ? [name] : [])),
    reader: columns.length > 0,
    all: (parameters) => statement.all(...bound(parameters)).map(toObject),
    run: (parameters) => statement.run(...bound(parameters)),
    *iterate(parameters) {
      for (const row of statement.iterate(...bound(parameters))) yield toObject(row);
    },
  };
}

/** A row as an object. */
export function objectOf(columns: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (let i = 0; i < columns.length; i++) object[columns[i]!] = row[i];
  return object;
}

/**
 * Rolls back if a transaction is open. After some errors, such as a full disk, SQLite has already rolled back
 * (https://sqlite.org/lang_transaction.html, section 3), and the error of a second rollback would hide the first error.
 */
export function rollBackIfOpen(file: Pick<SqliteFile, 'run'>): void {
  try {
    file.run('rollback');
  } catch (error) {
    if (!/no transaction is active/.test(String(error))) throw error;
  }
}
