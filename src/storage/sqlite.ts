import { DatabaseSync, type StatementSyncInstance } from '@photostructure/sqlite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely';

/** Compiled statements kept by their text; the catalog has some dozens, and bulk inserts vary in length. */
const MAX_CACHED_STATEMENTS = 200;

/**
 * Kysely over one SQLite file with the API of `node:sqlite`, which Node has built in from version 22 on: the package
 * behind it brings the same module, prebuilt, to Node 20.
 *
 * WAL lets the command line read and write beside a running server. `synchronous=FULL` makes every commit durable before
 * it returns: what the service acknowledges, a power cut can't take back.
 */
export function sqliteDialect(path: string): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new ImmediateSqliteDriver({ database: async () => open(path) }),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class ImmediateSqliteDriver extends SqliteDriver {
  /**
   * A transaction that reads first and writes later fails at once when another process wrote in between; one that takes
   * the write lock at its beginning waits for its turn instead (https://sqlite.org/lang_transaction.html).
   */
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  /**
   * After some errors, a full disk among them, SQLite has rolled back by itself (https://sqlite.org/lang_transaction.html,
   * section 3); that there is nothing left to roll back must not hide what went wrong.
   */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await super.rollbackTransaction(connection).catch((error) => {
      if (!/no transaction is active/.test(String(error))) throw error;
    });
  }
}

function open(path: string) {
  const db = new DatabaseSync(path);
  db.exec('pragma busy_timeout = 5000');
  db.exec('pragma journal_mode = wal');
  db.exec('pragma synchronous = full');
  db.exec('pragma foreign_keys = on');
  const cache = new Map<string, SqliteStatement>();
  return {
    prepare(sql: string): SqliteStatement {
      const cached = cache.get(sql);
      if (cached !== undefined) return cached;
      const statement = adapt(db.prepare(sql));
      const oldest = cache.keys().next();
      if (cache.size >= MAX_CACHED_STATEMENTS && !oldest.done) cache.delete(oldest.value);
      cache.set(sql, statement);
      return statement;
    },
    close: () => db.close(),
  };
}

function adapt(statement: StatementSyncInstance): SqliteStatement {
  const columns = statement.columns().map((column) => column.name);
  // Objects built here from arrays take a third of the time of those the native side builds key by key.
  statement.setReturnArrays(true);
  const objectOf = (row: unknown) => {
    const object: Record<string, unknown> = {};
    for (let i = 0; i < columns.length; i++) object[columns[i]!] = (row as unknown[])[i];
    return object;
  };
  return {
    reader: columns.length > 0,
    all: (parameters) => statement.all(...(parameters as never[])).map(objectOf),
    run: (parameters) => {
      const { changes, lastInsertRowid } = statement.run(...(parameters as never[]));
      return { changes, lastInsertRowid };
    },
    *iterate(parameters) {
      for (const row of statement.iterate(...(parameters as never[]))) yield objectOf(row);
    },
  };
}
