import { type Compilable, type RawBuilder, type Selectable, sql } from 'kysely';
import { type Database, type Query, type Transaction, WITHOUT_TIMEOUTS } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { JOB_KINDS } from './jobs.js';
import type { DatasetRow } from './rows.js';

/** Large enough for few round trips, small enough for bounded memory. */
const ROWS_PER_PAGE = 2000;

/** The primary keys of all tables except `job` and those of `KEYS_IN_DATASET`; a table comes after those that it references. */
export const PRIMARY_KEYS = {
  account: 'id',
  token: 'id',
  setting: 'name',
  trash: 'blob_key',
  dataset: 'id',
  recheck: 'dataset_id',
  webhook: 'id',
  webhook_delivery: 'id',
} as const satisfies Partial<Record<keyof Schema, string>>;

export type PlainTable = keyof typeof PRIMARY_KEYS;

/** Runs one statement, alone or within a transaction. */
export type RunStatement = <Row>(statement: Compilable<Row>) => Promise<Row[]>;

/** Runs each statement as its own transaction. */
export function runOn(query: Query): RunStatement {
  return async (statement) => (await query.executeQuery(statement.compile())).rows;
}

/** Runs statements of a transaction, one at a time. */
export function runWith(send: Transaction['send']): RunStatement {
  return async (statement) => (await send([statement]))[0];
}

/** Runs work in one transaction that reads one snapshot, without timeouts. Without a `commit` it is rolled back. */
export function inSnapshot<T>(
  { hasRowLocks, query, transact }: Database,
  work: (run: RunStatement, transaction: Transaction) => Promise<T>,
): Promise<T> {
  const compilable = (builder: RawBuilder<unknown>): Compilable<unknown> => ({ compile: () => builder.compile(query) });
  // SQLite needs no settings. On Postgres the transaction must not time out while the other database works.
  const settings = hasRowLocks
    ? [compilable(sql`set transaction isolation level repeatable read`), compilable(WITHOUT_TIMEOUTS)]
    : [];
  return transact({ isDurable: true, hasDeadline: false }, async (transaction) => {
    await transaction.send(settings);
    return work(runWith(transaction.send), transaction);
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

/** Reads all jobs in pages, kind by kind. */
export async function* jobPagesOf(query: Query, run: RunStatement): AsyncGenerator<Selectable<Schema['job']>[]> {
  for (const kind of JOB_KINDS) {
    const all = query.selectFrom('job').selectAll().where('kind', '=', kind).orderBy('key').limit(ROWS_PER_PAGE);
    for (let after: string | undefined; ; ) {
      const rows = await run(after === undefined ? all : all.where('key', '>', after));
      if (rows.length > 0) yield rows;
      if (rows.length < ROWS_PER_PAGE) break;
      after = rows.at(-1)?.key;
    }
  }
}

/** The primary keys of the tables that belong to datasets, within one dataset. */
const KEYS_IN_DATASET = {
  file: ['id'],
  past_file: ['id', 'added_in'],
  revision: ['number'],
  link: ['slot'],
} as const satisfies Partial<Record<keyof Schema, readonly string[]>>;

type DatasetTable = keyof typeof KEYS_IN_DATASET;

/** Reads the rows of a table in pages, dataset by dataset. */
export async function* datasetPagesOf<Table extends DatasetTable>(
  query: Query,
  run: RunStatement,
  table: Table,
): AsyncGenerator<{ dataset: DatasetRow; rows: Selectable<Schema[Table]>[] }> {
  const keys: readonly string[] = KEYS_IN_DATASET[table];
  for await (const datasets of pagesOf(query, run, 'dataset')) {
    for (const dataset of datasets) {
      // As in `pagesOf`.
      const all = query
        .selectFrom(table as 'past_file')
        .selectAll()
        .where('dataset_id', '=', dataset.id)
        .orderBy(sql.join(keys.map((key) => sql.ref(key))))
        .limit(ROWS_PER_PAGE);
      for (let after: Record<string, unknown> | undefined; ; ) {
        const last = after;
        const rows: Record<string, unknown>[] = await run(
          last === undefined
            ? all
            : all.where(
                sql<boolean>`(${sql.join(keys.map((key) => sql.ref(key)))}) > (${sql.join(keys.map((key) => last[key]))})`,
              ),
        );
        if (rows.length > 0) yield { dataset, rows: rows as never };
        if (rows.length < ROWS_PER_PAGE) break;
        after = rows.at(-1);
      }
    }
  }
}
