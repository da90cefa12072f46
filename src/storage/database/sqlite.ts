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
import { type Database, migrateSchema, type RowsOf, type Transaction } from './database.js';
import type { Schema } from './schema.js';

/** Compiled statements kept by their text; the catalog has some dozens, and bulk inserts vary in length. */
const MAX_CACHED_STATEMENTS = 200;

/**
 * One SQLite file with the API of `node:sqlite`, which Node has built in from version 22 on: the package behind it brings
 * the same module, prebuilt, to Node 20.
 *
 * WAL lets the command line read and write beside a running server. `synchronous=FULL` makes every commit durable before
 * it returns: what the service acknowledges, a power cut can't take back.
 *
 * @param options.isSingleFile nobody else has it open, and without WAL nothing lies beside it that belongs to it
 */
export async function openSqlite(path: string, options: { isSingleFile?: boolean } = {}): Promise<Database> {
  const file = openFile(path, options.isSingleFile === true ? 'delete' : 'wal');
  const query = new Kysely<Schema>({ dialect: dialectOver(file) });
  try {
    await migrateSchema(query);
  } catch (error) {
    await query.destroy();
    throw error;
  }
  return {
    query,
    hasRowLocks: false,
    // The connection is lent to one at a time, so that nobody else's statement gets between those of a transaction.
    transact: ({ isDurable }, work) =>
      query.connection().execute(() => (isDurable ? transact(file, work) : withoutDurability(file, work))),
    read: (statements) => query.connection().execute(async () => readAtOnce(file, statements)),
    close: () => query.destroy(),
  };
}

type SqliteFile = ReturnType<typeof openFile>;

function dialectOver(file: SqliteFile): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new ImmediateSqliteDriver({ database: async () => file }),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** For transactions of Kysely's own, which are those of migrations. */
class ImmediateSqliteDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

/**
 * A transaction that reads first and writes later fails at once when another process wrote in between; one that takes the
 * write lock at its beginning waits for its turn instead (https://sqlite.org/lang_transaction.html).
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
        file.run('commit');
        isOpen = false;
        return rows;
      },
    });
  } finally {
    if (isOpen) rollBack(file);
  }
}

/** A transaction goes on reading what it began with, whatever other processes write (https://sqlite.org/isolation.html). */
function readAtOnce<const S extends readonly Compilable<unknown>[]>(file: SqliteFile, statements: S): RowsOf<S> {
  file.run('begin');
  try {
    return statements.map((statement) => gather(file, statement.compile())) as RowsOf<S>;
  } finally {
    rollBack(file);
  }
}

/**
 * The rows of a statement, handed over by SQLite as one JSON text: where they are many, that takes half the time of fetching
 * them value by value. Our columns have text, whole numbers and null, all of which JSON keeps as they are.
 */
function gather(file: SqliteFile, { sql, parameters }: CompiledQuery): unknown[] {
  const { columns } = file.prepare(sql);
  const values = columns.map((column) => `"${column}"`).join(', ');
  const gathered = file.prepare(`select json_group_array(json_array(${values})) as text from (${sql})`);
  const [{ text }] = gathered.all(parameters) as [{ text: string }];
  return (JSON.parse(text) as unknown[][]).map((row) => objectOf(columns, row));
}

/**
 * After some errors, a full disk among them, SQLite has rolled back by itself (https://sqlite.org/lang_transaction.html,
 * section 3); that there is nothing left to roll back must not hide what went wrong.
 */
function rollBack(file: SqliteFile): void {
  try {
    file.run('rollback');
  } catch (error) {
    if (!/no transaction is active/.test(String(error))) throw error;
  }
}

/**
 * A power cut may take these commits back, all together and in order, and never half of one; the next durable commit makes
 * them durable too (https://sqlite.org/pragma.html#pragma_synchronous).
 */
async function withoutDurability<T>(file: SqliteFile, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  file.run('pragma synchronous = normal');
  try {
    return await transact(file, work);
  } finally {
    file.run('pragma synchronous = full');
  }
}

function openFile(path: string, journalMode: 'wal' | 'delete') {
  const db = new DatabaseSync(path);
  db.exec('pragma busy_timeout = 5000');
  db.exec(`pragma journal_mode = ${journalMode}`);
  db.exec('pragma synchronous = full');
  db.exec('pragma foreign_keys = on');
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
    /** A statement without parameters and rows. */
    run: (sql: string): void => {
      prepare(sql).run([]);
    },
    close: () => db.close(),
  };
}

interface Prepared extends SqliteStatement {
  readonly columns: readonly string[];
}

function adapt(statement: StatementSyncInstance): Prepared {
  const columns = statement.columns().map((column) => column.name);
  // Objects built here from arrays take a third of the time of those the native side builds key by key.
  statement.setReturnArrays(true);
  const toObject = (row: unknown) => objectOf(columns, row as unknown[]);
  return {
    columns,
    reader: columns.length > 0,
    all: (parameters) => statement.all(...(parameters as never[])).map(toObject),
    run: (parameters) => {
      const { changes, lastInsertRowid } = statement.run(...(parameters as never[]));
      return { changes, lastInsertRowid };
    },
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
