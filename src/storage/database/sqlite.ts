import { statSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { DatabaseSync, type StatementSyncInstance } from '@photostructure/sqlite';
import {
  type Compilable,
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  Kysely,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely';
import { ServiceError } from '../../dataset/errors.js';
import { BackendUnusable, isBusy, isDamaged } from '../backend-unusable.js';
import { type Database, migrateSchema, type RowsOf, type Transaction } from './database.js';
import type { Schema } from './schema.js';

/** How long a write waits for another process that holds the write lock. */
const MAX_BUSY_MS = 10_000;
const BUSY_PAUSE_MS = 20;

/** The catalog has a few dozen statements, and bulk inserts of different lengths add more. */
const MAX_CACHED_STATEMENTS = 200;

/**
 * Opens a SQLite file and migrates its tables. `@photostructure/sqlite` has the API of `node:sqlite`, which Node 20 lacks.
 *
 * WAL lets the command line read and write while a server runs. With `synchronous=FULL` a commit is durable when it
 * returns, so that a power cut never undoes what the service has acknowledged.
 *
 * @param options.isSingleFile without WAL, so that the database is this one file; no other process may have it open
 * @throws BackendUnusable if it is damaged, can't be opened, or is of a newer version
 */
export async function openSqlite(path: string, options: { isSingleFile?: boolean } = {}): Promise<Database> {
  const { file, query } = await openMigrated(path, options.isSingleFile === true ? 'delete' : 'wal').catch((error) => {
    const reason = isDamaged(error) ? `it is damaged (${error.message}). Restore a backup.` : error.message;
    throw new BackendUnusable(`The catalog ${path} can't be used: ${reason}`, {
      cause: error,
      isTemporary: isBusy(error),
    });
  });
  return {
    query,
    hasRowLocks: false,
    // `connection()` is exclusive, so that no other statement runs within a transaction.
    transact: ({ isDurable }, work) =>
      whileBusy(file, () =>
        query.connection().execute(() => (isDurable ? transact(file, work) : withoutDurability(file, work))),
      ),
    read: (statements) => query.connection().execute(async () => readSnapshot(file, statements)),
    besideWriter: async (work) => {
      // The other thread would make a new file.
      file.requireInPlace();
      file.otherWriters++;
      return work(path).finally(() => file.otherWriters--);
    },
    close: () => query.destroy(),
  };
}

async function openMigrated(path: string, journalMode: JournalMode) {
  const file = openFile(path, journalMode);
  const query = new Kysely<Schema>({ dialect: dialectOver(file) });
  try {
    await migrateSchema(query);
  } catch (error) {
    await query.destroy().catch(() => {});
    throw error;
  }
  return { file, query };
}

type JournalMode = 'wal' | 'delete';
type SqliteFile = ReturnType<typeof openFile>;

function dialectOver(file: SqliteFile): Dialect {
  return {
    createAdapter: () => new TransactionalAdapter(),
    createDriver: () => new ImmediateSqliteDriver(file),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/**
 * Kysely migrates SQLite without a transaction by default. With one, a crash or another process can't leave a migration half
 * done: SQLite rolls back changes of tables too (https://sqlite.org/lang_transaction.html).
 */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** Kysely uses its own transactions for migrations, and executes single statements itself. */
class ImmediateSqliteDriver extends SqliteDriver {
  readonly #file: SqliteFile;

  constructor(file: SqliteFile) {
    super({ database: async () => file });
    this.#file = file;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection();
    return {
      executeQuery: (statement) => whileBusy(this.#file, () => connection.executeQuery(statement)),
      streamQuery: (statement, chunkSize) => connection.streamQuery(statement, chunkSize),
    };
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

/**
 * Tries again while another process or thread holds the write lock. SQLite's own `busy_timeout` would block this thread
 * meanwhile.
 */
async function whileBusy<T>(file: SqliteFile, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + MAX_BUSY_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || (performance.now() > deadline && file.otherWriters === 0)) throw error;
      await wait(BUSY_PAUSE_MS);
    }
  }
}

/**
 * Runs a transaction with BEGIN IMMEDIATE: it waits for the write lock at its beginning. A transaction that reads before it
 * takes the lock fails with SQLITE_BUSY if another process writes in between (https://sqlite.org/lang_transaction.html).
 */
async function transact<T>(file: SqliteFile, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  const send = async <const S extends readonly Compilable<unknown>[]>(statements: S) =>
    statements.map((statement) => {
      const { sql, parameters } = statement.compile();
      const prepared = file.prepare(sql);
      if (prepared.reader) return prepared.all(parameters);
      prepared.run(parameters);
      return [];
    }) as RowsOf<S>;
  file.run('begin immediate');
  let isOpen = true;
  try {
    return await work({
      send,
      commit: async (statements) => {
        const rows = await send(statements);
        file.requireInPlace();
        file.run('commit');
        isOpen = false;
        return rows;
      },
    });
  } finally {
    if (isOpen) rollBack(file);
  }
}

/** Reads in one transaction, which sees one snapshot while other processes write (https://sqlite.org/isolation.html). */
function readSnapshot<const S extends readonly Compilable<unknown>[]>(file: SqliteFile, statements: S): RowsOf<S> {
  file.run('begin');
  try {
    return statements.map((statement) => allRows(file, statement.compile())) as RowsOf<S>;
  } finally {
    rollBack(file);
  }
}

/**
 * Reads the rows of a statement as one JSON text, which for many rows takes half the time of fetching each value. JSON
 * represents the types of our columns, text, integers and null, without loss.
 */
function allRows(file: SqliteFile, { sql, parameters }: CompiledQuery): unknown[] {
  const { columns } = file.prepare(sql);
  const values = columns.map((column) => `"${column}"`).join(', ');
  const asJson = file.prepare(`select json_group_array(json_array(${values})) as text from (${sql})`);
  const [{ text }] = asJson.all(parameters) as [{ text: string }];
  return (JSON.parse(text) as unknown[][]).map((row) => objectOf(columns, row));
}

/**
 * Rolls back if a transaction is open. After some errors, such as a full disk, SQLite has already rolled back
 * (https://sqlite.org/lang_transaction.html, section 3), and the error of a second rollback would hide the first error.
 */
function rollBack(file: SqliteFile): void {
  try {
    file.run('rollback');
  } catch (error) {
    if (!/no transaction is active/.test(String(error))) throw error;
  }
}

/**
 * Commits without waiting for the disk. A power cut may undo the last such commits, each as a whole; the next durable
 * commit makes them durable (https://sqlite.org/pragma.html#pragma_synchronous).
 */
async function withoutDurability<T>(file: SqliteFile, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  file.run('pragma synchronous = normal');
  try {
    return await transact(file, work);
  } finally {
    file.run('pragma synchronous = full');
  }
}

function openFile(path: string, journalMode: JournalMode) {
  const db = new DatabaseSync(path);
  // Opening a file after a crash takes an exclusive lock for a moment.
  db.exec('pragma busy_timeout = 5000');
  db.exec(`pragma journal_mode = ${journalMode}`);
  db.exec('pragma busy_timeout = 0');
  db.exec('pragma synchronous = full');
  db.exec('pragma foreign_keys = on');
  const { ino } = statSync(path);
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
    /** Threads of this process that write to the file for some time, each with a connection of its own. */
    otherWriters: 0,
    /** SQLite goes on to write a file whose folder was deleted or replaced. @throws ServiceError `unavailable` */
    requireInPlace: (): void => {
      if (statSync(path, { throwIfNoEntry: false })?.ino !== ino) {
        throw new ServiceError(
          'unavailable',
          `The catalog is no longer at ${path}. Restore it and restart the server.`,
        );
      }
    },
    /** Runs a statement that has no parameters and returns no rows. */
    run: (sql: string): void => void prepare(sql).run([]),
    close: () => {
      cache.clear();
      // Moves the write-ahead log into the database, so that a copy of this one file is complete.
      if (journalMode === 'wal') db.exec('pragma wal_checkpoint(truncate)');
      db.close();
    },
  };
}

interface Prepared extends SqliteStatement {
  readonly columns: readonly string[];
}

function adapt(statement: StatementSyncInstance): Prepared {
  const columns = statement.columns().map((column) => column.name);
  // Building objects from arrays here takes a third of the time that the native code takes to set each key.
  statement.setReturnArrays(true);
  const toObject = (row: unknown) => objectOf(columns, row as unknown[]);
  return {
    columns,
    reader: columns.length > 0,
    all: (parameters) => statement.all(...(parameters as never[])).map(toObject),
    run: (parameters) => statement.run(...(parameters as never[])),
    *iterate(parameters) {
      for (const row of statement.iterate(...(parameters as never[]))) yield toObject(row);
    },
  };
}

function objectOf(columns: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (let i = 0; i < columns.length; i++) object[columns[i]!] = row[i];
  return object;
}
