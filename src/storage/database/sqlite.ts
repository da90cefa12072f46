import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import {
  BackendUnusable,
  isBusy,
  isDamaged,
  isDatabaseFull,
  isIoError,
  readOnlyFolderIn,
} from '../backend-unusable.js';
import type { Database } from './database.js';
import { migrateSchema } from './migrate.js';
import type { Schema } from './schema.js';
import { SqliteClient, SqliteTransaction } from './sqlite-client.js';

/**
 * Opens a SQLite file in a thread of its own, and migrates its tables. `@photostructure/sqlite` has the API of `node:sqlite`,
 * which Node 20 lacks. One thread writes, with group commit (`GroupCommit`), and another one reads what is committed.
 *
 * @param options.isSingleFile without WAL, so that the database is this one file; no other process may have it open
 * @throws BackendUnusable if it is damaged, can't be opened, or is of a newer version
 */
export async function openSqlite(path: string, { isSingleFile = false } = {}): Promise<Database> {
  const threads = new SqliteThreads(path, isSingleFile);
  const query = new Kysely<Schema>({ dialect: dialectOver(threads) });
  try {
    await threads.opened;
    // Its transactions are exclusive.
    await migrateSchema(query, {
      tableNamed: (name) => sql`select 1 from sqlite_master where name = ${name}`,
      begin: [],
    });
    threads.afterMigration();
  } catch (error) {
    await threads.close().catch(() => {});
    throw unusable(path, error as Error);
  }
  return {
    query,
    hasRowLocks: false,
    transact: async (options, work) => {
      const transaction = threads.begin(options);
      const result = await work(transaction).catch(async (error) => {
        await transaction.rollback().catch(() => {});
        throw error;
      });
      await transaction.rollback();
      return result;
    },
    read: (statements) => threads.read(statements),
    close: () => threads.close(),
  };
}

function unusable(path: string, error: Error): BackendUnusable {
  const { message } = error;
  const reason = isDamaged(error)
    ? `it is damaged (${message}). Restore a backup.`
    : (readOnlyFolderIn(error, path) ?? message);
  return new BackendUnusable(`The catalog ${path} can't be used: ${reason}`, {
    cause: error,
    isTemporary: isBusy(error) || isDatabaseFull(error) || isIoError(error),
  });
}

/** The thread that writes a file, and the one that reads it, which starts with the first read after the migration. */
class SqliteThreads {
  readonly #path: string;
  readonly #isSingleFile: boolean;
  #isMigrated = false;
  readonly #writer: SqliteClient;
  #reader: SqliteClient | undefined;

  constructor(path: string, isSingleFile: boolean) {
    this.#path = path;
    this.#isSingleFile = isSingleFile;
    this.#writer = new SqliteClient({ path, role: 'writer', journalMode: isSingleFile ? 'delete' : 'wal' });
  }

  get opened(): Promise<unknown> {
    return this.#writer.opened;
  }

  /** To be called when the tables have their columns. */
  afterMigration(): void {
    this.#isMigrated = true;
  }

  begin(options: { isDurable: boolean }): SqliteTransaction {
    return new SqliteTransaction(this.#writer, options);
  }

  readonly read: Database['read'] = (statements) => {
    // Without WAL, a reader would wait for the writer, and the writer for it.
    if (this.#isSingleFile || !this.#isMigrated) return this.begin({ isDurable: false }).commit(statements);
    this.#reader ??= this.#openReader();
    return this.#reader.request(statements, { id: this.#reader.newId(), isDurable: false });
  };

  #openReader(): SqliteClient {
    const reader = new SqliteClient({ path: this.#path, role: 'reader', journalMode: 'wal' });
    // Then its reads fail too.
    reader.opened.catch(() => {});
    return reader;
  }

  /** The writer is the last to close the file, so that it leaves one file. */
  async close(): Promise<void> {
    try {
      await this.#reader?.close();
    } finally {
      await this.#writer.close();
    }
  }
}

function dialectOver(threads: SqliteThreads): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new ThreadDriver(threads),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** Executes single statements, and the transaction that migrates. */
class ThreadDriver implements Driver {
  readonly #threads: SqliteThreads;

  constructor(threads: SqliteThreads) {
    this.#threads = threads;
  }

  async acquireConnection(): Promise<ThreadConnection> {
    return new ThreadConnection(this.#threads);
  }

  async beginTransaction(connection: ThreadConnection): Promise<void> {
    connection.transaction = this.#threads.begin({ isDurable: true });
  }

  async commitTransaction({ transaction }: ThreadConnection): Promise<void> {
    await transaction?.commit([]);
  }

  async rollbackTransaction({ transaction }: ThreadConnection): Promise<void> {
    await transaction?.rollback();
  }

  async init(): Promise<void> {}
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
}

class ThreadConnection implements DatabaseConnection {
  transaction: SqliteTransaction | undefined;
  readonly #threads: SqliteThreads;

  constructor(threads: SqliteThreads) {
    this.#threads = threads;
  }

  async executeQuery<Row>(compiled: CompiledQuery): Promise<QueryResult<Row>> {
    const statements = [{ compile: () => compiled as CompiledQuery<Row> }];
    const [rows] = await this.#run(compiled)(statements);
    return { rows: rows as Row[] };
  }

  #run({ query }: CompiledQuery): Database['read'] {
    if (this.transaction !== undefined) return this.transaction.send;
    if (query.kind === 'SelectQueryNode') return this.#threads.read;
    return this.#threads.begin({ isDurable: true }).commit;
  }

  // biome-ignore lint/correctness/useYield: the interface of Kysely has it, and the catalog does not use it
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error('SQLite answers all rows at once.');
  }
}
