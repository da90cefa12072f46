import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  type SelectModifierNode,
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
  const database: Database = {
    query: new Kysely<Schema>({ dialect: dialectOver(threads) }),
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
  try {
    await threads.opened;
    // Its transactions are exclusive.
    await migrateSchema(database, {
      tableNamed: (name) => sql`select 1 from sqlite_master where name = ${name}`,
      begin: [],
    });
    return database;
  } catch (error) {
    await threads.close().catch(() => {});
    throw unusable(path, error as Error);
  }
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

/** The thread that writes a file, and the one that reads it, which starts with the first read. */
class SqliteThreads {
  readonly #path: string;
  readonly #isSingleFile: boolean;
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

  begin(options: { isDurable: boolean }): SqliteTransaction {
    return new SqliteTransaction(this.#writer, options);
  }

  readonly read: Database['read'] = (statements) => {
    // Without WAL, a reader would wait for the writer, and the writer for it.
    if (this.#isSingleFile) return this.begin({ isDurable: false }).commit(statements);
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
    createQueryCompiler: () => new CompilerWithoutLocks(),
  };
}

/** SQLite has one writer at a time, and no syntax for row locks such as `for update`. */
class CompilerWithoutLocks extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier === 'Distinct') super.visitSelectModifier(node);
  }
}

/** Executes single statements. */
class ThreadDriver implements Driver {
  readonly #threads: SqliteThreads;

  constructor(threads: SqliteThreads) {
    this.#threads = threads;
  }

  async acquireConnection(): Promise<ThreadConnection> {
    return new ThreadConnection(this.#threads);
  }

  async init(): Promise<void> {}
  async beginTransaction(): Promise<never> {
    throw new Error('Transactions are those of the database.');
  }

  async commitTransaction(): Promise<void> {}
  async rollbackTransaction(): Promise<void> {}
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
}

class ThreadConnection implements DatabaseConnection {
  readonly #threads: SqliteThreads;

  constructor(threads: SqliteThreads) {
    this.#threads = threads;
  }

  async executeQuery<Row>(compiled: CompiledQuery): Promise<QueryResult<Row>> {
    const statements = [{ compile: () => compiled as CompiledQuery<Row> }] as const;
    const isRead = compiled.query.kind === 'SelectQueryNode';
    const run = isRead ? this.#threads.read : this.#threads.begin({ isDurable: true }).commit;
    const [rows] = await run(statements);
    return { rows };
  }

  // biome-ignore lint/correctness/useYield: the interface of Kysely has it, and the catalog does not use it
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error('SQLite answers all rows at once.');
  }
}
