import { setTimeout as wait } from 'node:timers/promises';
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
} from 'kysely';
import { MAX_TEXT_BYTES_AT_ONCE } from '../../pieces.js';
import {
  BackendUnusable,
  isBusy,
  isDamaged,
  isDatabaseFull,
  isIoError,
  readOnlyFolderIn,
} from '../backend-unusable.js';
import { type Database, migrateSchema, type RowsOf, type Transaction } from './database.js';
import type { Schema } from './schema.js';
import { openSqliteFile, rollBackIfOpen, type SqliteFile, type SqliteFileOptions } from './sqlite-file.js';
import { readInPieces, readSnapshot } from './sqlite-reads.js';

/** How long a write waits for another process that holds the write lock. */
const MAX_BUSY_MS = 10_000;
const BUSY_PAUSE_MS = 20;

/**
 * Opens a SQLite file and migrates its tables. `@photostructure/sqlite` has the API of `node:sqlite`, which Node 20 lacks.
 *
 * WAL lets the command line read and write while a server runs. With `synchronous=FULL` a commit is durable when it
 * returns, so that a power cut never undoes what the service has acknowledged.
 *
 * @param options.isSingleFile without WAL, so that the database is this one file; no other process may have it open
 * @param options.cacheMegabytes of pages in memory; by default that of SQLite, 2 MB
 * @throws BackendUnusable if it is damaged, can't be opened, or is of a newer version
 */
export async function openSqlite(
  path: string,
  { isSingleFile = false, cacheMegabytes }: { isSingleFile?: boolean; cacheMegabytes?: number } = {},
): Promise<Database> {
  const journalMode = isSingleFile ? 'delete' : 'wal';
  const { file, query } = await openMigrated(path, { journalMode, cacheMegabytes }).catch((error) => {
    const reason = isDamaged(error)
      ? `it is damaged (${error.message}). Restore a backup.`
      : (readOnlyFolderIn(error, path) ?? error.message);
    throw new BackendUnusable(`The catalog ${path} can't be used: ${reason}`, {
      cause: error,
      isTemporary: isBusy(error) || isDatabaseFull(error) || isIoError(error),
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
    read: async (statements, pieces) => {
      const maxTextBytes = pieces === undefined ? undefined : MAX_TEXT_BYTES_AT_ONCE;
      const rows = await query.connection().execute(async () => readSnapshot(file, statements, maxTextBytes));
      if (rows !== undefined || pieces === undefined) return rows as RowsOf<typeof statements>;
      await pieces.begin();
      return readInPieces(path, statements, pieces);
    },
    besideWriter: async (work) => {
      // The other thread would make a new file.
      file.requireInPlace();
      file.otherWriters++;
      return work(path).finally(() => file.otherWriters--);
    },
    close: () => query.destroy(),
  };
}

async function openMigrated(path: string, options: SqliteFileOptions) {
  const file = openSqliteFile(path, options);
  const query = new Kysely<Schema>({ dialect: dialectOver(file) });
  try {
    await migrateSchema(query);
  } catch (error) {
    await query.destroy().catch(() => {});
    throw error;
  }
  return { file, query };
}

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
    // A statement of its own that waits for the write lock lets others read with the connection.
    const pause = async () => {
      await this.releaseConnection();
      await wait(BUSY_PAUSE_MS);
      await super.acquireConnection();
    };
    return {
      executeQuery: (statement) => whileBusy(this.#file, () => connection.executeQuery(statement), pause),
      streamQuery: (statement, chunkSize) => connection.streamQuery(statement, chunkSize),
    };
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  override async rollbackTransaction(): Promise<void> {
    rollBackIfOpen(this.#file);
  }
}

/**
 * Tries again while another process or thread holds the write lock. SQLite's own `busy_timeout` would block this thread
 * meanwhile.
 */
async function whileBusy<T>(
  file: SqliteFile,
  work: () => Promise<T>,
  pause: () => Promise<void> = () => wait(BUSY_PAUSE_MS),
): Promise<T> {
  const deadline = performance.now() + MAX_BUSY_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || (performance.now() > deadline && file.otherWriters === 0)) throw error;
      await pause();
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
    if (isOpen) rollBackIfOpen(file);
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
