import { type Compilable, type Selectable, sql } from 'kysely';
import type { Database, Query, Transaction } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import type { DatasetRow, FileRow } from './rows.js';

/** Rows read at a time: few round trips, and memory that no table outgrows. */
const ROWS_PER_PAGE = 2000;

/** The tables but that of files, in an order in which each may refer to those before it, with their primary keys. */
export const PRIMARY_KEYS = {
  account: 'id',
  token: 'id',
  setting: 'name',
  trash: 'blob_key',
  dataset: 'id',
} as const satisfies Partial<Record<keyof Schema, string>>;

export type PlainTable = keyof typeof PRIMARY_KEYS;

/** Runs one statement, be it by itself or as a part of a transaction. */
export type RunStatement = <Row>(statement: Compilable<Row>) => Promise<Row[]>;

/** Each statement by itself. */
export function runOn(query: Query): RunStatement {
  return async (statement) => (await query.executeQuery(statement.compile())).rows;
}

/** Reads and writes of one moment, however long they take; without a `commit` nothing has changed. */
export function inSnapshot<T>(
  { hasRowLocks, query, transact }: Database,
  work: (run: RunStatement, transaction: Transaction) => Promise<T>,
): Promise<T> {
  const raw = (text: string): Compilable<unknown> => ({ compile: () => sql.raw(text).compile(query) });
  // With one writer at a time, a transaction is that by itself; elsewhere, whoever waits for the other end must not be cut off.
  const patience = hasRowLocks
    ? [
        raw('set transaction isolation level repeatable read'),
        raw('set local idle_in_transaction_session_timeout = 0'),
        raw('set local statement_timeout = 0'),
      ]
    : [];
  return transact({ isDurable: true }, async (transaction) => {
    await transaction.send(patience);
    const run: RunStatement = async (statement) => (await transaction.send([statement]))[0];
    return work(run, transaction);
  });
}

/** All rows of a table in the order of its primary key, some thousands at a time. */
export async function* pagesOf<Table extends PlainTable>(
  query: Query,
  run: RunStatement,
  table: Table,
): AsyncGenerator<Selectable<Schema[Table]>[]> {
  // The types of several tables at once are beyond the compiler; the names come from the table above.
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

/** The rows of all files, those of a dataset together, some thousands at a time. */
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
