import { type Compilable, type Selectable, sql } from 'kysely';
import type { Database, Query, Transaction } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import type { DatasetRow, FileRow } from './rows.js';

/** Large enough for few round trips, small enough for bounded memory. */
const ROWS_PER_PAGE = 2000;

/** The primary keys of all tables except `file`; a table comes after those that it references. */
export const PRIMARY_KEYS = {
  account: 'id',
  token: 'id',
  setting: 'name',
  trash: 'blob_key',
  dataset: 'id',
  recheck: 'dataset_id',
} as const satisfies Partial<Record<keyof Schema, string>>;

export type PlainTable = keyof typeof PRIMARY_KEYS;

/** Runs one statement, alone or within a transaction. */
export type RunStatement = <Row>(statement: Compilable<Row>) => Promise<Row[]>;

/** Runs each statement as its own transaction. */
export function runOn(query: Query): RunStatement {
  return async (statement) => (await query.executeQuery(statement.compile())).rows;
}

/** Runs work in one transaction that reads one snapshot, without timeouts. Without a `commit` it is rolled back. */
export function inSnapshot<T>(
  { hasRowLocks, query, transact }: Database,
  work: (run: RunStatement, transaction: Transaction) => Promise<T>,
): Promise<T> {
  const raw = (text: string): Compilable<unknown> => ({ compile: () => sql.raw(text).compile(query) });
  // SQLite needs no settings. On Postgres the transaction must not time out while the other database works.
  const settings = hasRowLocks
    ? [
        raw('set transaction isolation level repeatable read'),
        raw('set local idle_in_transaction_session_timeout = 0'),
        raw('set local statement_timeout = 0'),
      ]
    : [];
  return transact({ isDurable: true }, async (transaction) => {
    await transaction.send(settings);
    const run: RunStatement = async (statement) => (await transaction.send([statement]))[0];
    return work(run, transaction);
  });
}

/** Reads all rows of a table in pages, ordered by its primary key. */
export async function* pagesOf<Table extends PlainTable>(
  query: Query,
  run: RunStatement,
  table: Table,
): AsyncGenerator<Selectable<Schema[Table]>[]> {
  // TypeScript can't type a query over a union of tables; the names come from the constant above.
  const key = PRIMARY_KEYS[table] as 'name';
  const all = query
    .selectFrom(table as 'setting')
    .selectAll()
    .orderBy(key)
    .limit(ROWS_PER_PAGE);
  for (let after: string | undefined; ; ) {
    const rows = await run(after === undefined ? all : all.where(key, '>', after));
    if (rows.length > 0) yield rows as never;
    if (rows.length < ROWS_PER_PAGE) return;
    after = rows.at(-1)?.[key];
  }
}

/** Reads the rows of all files in pages, dataset by dataset. */
export async function* filePagesOf(
  query: Query,
  run: RunStatement,
): AsyncGenerator<{ dataset: DatasetRow; files: FileRow[] }> {
  for await (const datasets of pagesOf(query, run, 'dataset')) {
    for (const dataset of datasets) {
      for (let after = ''; ; ) {
        const files = await run(
          query
            .selectFrom('file')
            .selectAll()
            .where('dataset_id', '=', dataset.id)
            .where('id', '>', after)
            .orderBy('id')
            .limit(ROWS_PER_PAGE),
        );
        if (files.length > 0) yield { dataset, files };
        if (files.length < ROWS_PER_PAGE) break;
        after = files.at(-1)?.id ?? after;
      }
    }
  }
}
