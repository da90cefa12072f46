import { type Compilable, type RawBuilder, sql } from 'kysely';
import type { StemCounts } from '../../dataset/counts.js';
import type { DatasetFile, Micros, Role } from '../../dataset/dataset.js';
import type { FileKind } from '../../dataset/media.js';
import {
  type Database,
  type ParameterOf,
  preparedStatement,
  type Query,
  type Transaction,
} from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { type DatasetRow, FILE_COLUMNS, type FileRow, fileColumns, UPLOAD_COLUMNS } from './rows.js';

/** SQLite takes 32,766 parameters and Postgres 65,535; a row of a file takes some 20. */
export const ROWS_PER_STATEMENT = 500;

/** Literals: SQLite uses a partial index only if the text of the statement contains its condition. */
export const IS_PENDING = sql<string>`'pending'`;
export const IS_STORED = sql<string>`'stored'`;
const IS_RECEIVED = sql<string>`'received'`;
export const IS_PRESIGNED = sql<string>`'presigned'`;

/** Selects datasets; an empty filter matches all. */
export interface DatasetFilter {
  readonly accountId?: string | undefined;
  /** At most `ROWS_PER_STATEMENT`. */
  readonly ids?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  /** Only datasets older than this one. */
  readonly after?: { readonly createdAt: Micros; readonly id: string } | undefined;
  /** Only datasets with a greater id, in the order of the ids. */
  readonly afterId?: string | undefined;
  readonly limit?: number | undefined;
}

export function datasetsBy(query: Query, { accountId, ids, name, role, after, afterId, limit }: DatasetFilter) {
  let select = query.selectFrom('dataset').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
  // An expression has no index: from a few ids on, SQLite would read all datasets of the account instead.
  const account = ids === undefined ? sql.ref<string>('account_id') : sql<string>`account_id || ''`;
  if (accountId !== undefined) select = select.where(account, '=', accountId);
  if (ids !== undefined) select = select.where('id', 'in', ids);
  if (name !== undefined) select = select.where('name', '=', name);
  if (role !== undefined) select = select.where('role', '=', role);
  if (after !== undefined) {
    select = select.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), '<', tuple(after.createdAt, after.id)),
    );
  }
  if (afterId !== undefined) select = select.where('id', '>', afterId).clearOrderBy().orderBy('id');
  return limit === undefined ? select : select.limit(limit);
}

export type RunStatement = <Row>(statement: Compilable<Row>) => Promise<Row[]>;

/** Runs work on one snapshot, without timeouts. It is rolled back unless the work commits. */
export function inSnapshot<T>(
  { transact }: Database,
  work: (run: RunStatement, transaction: Transaction) => Promise<T>,
): Promise<T> {
  return transact({ isDurable: true, hasDeadline: false, isSnapshot: true }, (transaction) =>
    work(async (statement) => (await transaction.send([statement]))[0], transaction),
  );
}

/** Locks the row of a dataset until the end of the transaction. */
export const lockDataset = preparedStatement((query, parameter: ParameterOf<{ id: string }>) =>
  query.selectFrom('dataset').selectAll().where('id', '=', parameter('id')).forNoKeyUpdate(),
);

/** Runs work in a transaction that has locked a dataset; `undefined` if there is none. */
export function withDataset<T>(
  db: Database,
  { id, isDurable = true }: { id: string; isDurable?: boolean },
  work: (row: DatasetRow, transaction: Transaction) => Promise<T>,
): Promise<T | undefined> {
  return db.transact({ isDurable }, async (transaction) => {
    const [[row]] = await transaction.send([lockDataset(db.query, { id })]);
    return row && work(row, transaction);
  });
}

export function filesOfDataset(query: Query, datasetId: string) {
  return statementOf(query, sql<FileRow>`select * from file where dataset_id = ${datasetId}`);
}

export function filesOfStems(query: Query, datasetId: string, stems: readonly string[]) {
  const ofDataset = sql`select * from file where dataset_id = ${datasetId}`;
  return rowChunksOf(stems).map((chunk) =>
    statementOf(query, sql<FileRow>`${ofDataset} and stem in (${sql.join(chunk)})`),
  );
}

export function storedFilesNamed(query: Query, datasetId: string, filenames: readonly string[]) {
  return rowChunksOf(filenames).map((chunk) => storedFilesOf(query, datasetId).where('filename', 'in', chunk));
}

/** Partial indexes need all these conditions in the text, also if one follows from another. */
function storedFilesOf(query: Query, datasetId: string) {
  return query
    .selectFrom('file')
    .selectAll()
    .where('dataset_id', '=', datasetId)
    .where('state', '<>', IS_PENDING)
    .where('state', '<>', IS_RECEIVED)
    .where('state', '=', IS_STORED);
}

/** Names after `after`, at most `limit`. */
export interface FilePage {
  readonly datasetId: string;
  readonly after: string;
  readonly kind?: FileKind | undefined;
  readonly limit: number;
}

/** The unique index of finalized names gives this order without a sort. */
export function storedAfter(query: Query, { datasetId, after, kind, limit }: FilePage) {
  const page = storedFilesOf(query, datasetId).where('filename', '>', after).orderBy('filename').limit(limit);
  return kind === undefined ? page : page.where('kind', '=', kind);
}

/** Deletes before it upserts: a written file may have the name of a removed one. */
export function writeFiles(
  query: Query,
  { removed, written }: { removed: readonly DatasetFile[]; written: readonly DatasetFile[] },
) {
  const ids = removed.map(({ id }) => id);
  return [...deleteAll(query, 'file', 'id', ids), ...rowChunksOf(written).map((files) => upsert(query, files))];
}

const COLUMNS = sql.raw(FILE_COLUMNS.join(', '));
const EXCLUDED = sql.raw(UPLOAD_COLUMNS.map((column) => `${column} = excluded.${column}`).join(', '));

function upsert(query: Query, files: readonly DatasetFile[]) {
  const rows = files.map(fileColumns).map((row) => sql`(${sql.join(FILE_COLUMNS.map((column) => row[column]))})`);
  const insert = sql<never>`
    insert into file (${COLUMNS}) values ${sql.join(rows)} on conflict (id) do update set ${EXCLUDED}`;
  return statementOf(query, insert);
}

/**
 * Inserts a file, counted already, if its dataset belongs to the account. It fails by a null in `stem` if the stem has `maxNames`,
 * and by a null in `filename` if the dataset has `maxFiles`.
 */
export function insertFile(
  query: Query,
  { accountId, maxNames, maxFiles, ...row }: FileRow & { accountId: string; maxNames: number; maxFiles: number },
) {
  const ofStem = sql`from file where dataset_id = ${row.dataset_id} and stem = ${row.stem}`;
  const hasName = sql`exists (select 1 ${ofStem} and filename = ${row.filename})`;
  const names = sql`(select count(distinct filename) ${ofStem})`;
  const max = sql`cast(${maxFiles} as bigint)`;
  // The exact count runs near the limit alone: two uploads of one name are one file.
  const hasRoom = sql`images + videos + captions + pending + received + rejected <= ${max}
    or (select count(distinct filename) from file where dataset_id = ${row.dataset_id}) < ${max}`;
  const checked: Partial<Record<keyof FileRow, RawBuilder<unknown>>> = {
    stem: sql`case when ${names} < ${maxNames} or ${hasName} then ${row.stem} end`,
    filename: sql`case when ${hasRoom} or ${hasName} then ${row.filename} end`,
  };
  const values = FILE_COLUMNS.map((name) => checked[name] ?? sql`${row[name]}`);
  const insert = sql<never>`
    insert into file (${COLUMNS})
    select ${sql.join(values)} from dataset where id = ${row.dataset_id} and account_id = ${accountId}`;
  return statementOf(query, insert);
}

export function countNames(query: Query, datasetId: string) {
  return query
    .selectFrom('file')
    .select(({ fn }) => fn.count<number>('filename').distinct().as('names'))
    .where('dataset_id', '=', datasetId);
}

/** Counts a pending upload; returns the dataset. */
export function countReservation(
  query: Query,
  upload: { accountId: string; datasetId: string; createdAt: Micros; aliveUntil: Micros },
) {
  const until = sql`cast(${upload.aliveUntil} as bigint)`;
  const update = sql<DatasetRow>`
    update dataset set
      pending = pending + 1, version = version + 1, updated_at = ${upload.createdAt},
      pending_until = case when pending_until > ${until} then pending_until else ${until} end
    where id = ${upload.datasetId} and account_id = ${upload.accountId}
    returning *`;
  return statementOf(query, update);
}

/** The latest revision, and whether it is open. */
export type HistoryColumns = Pick<DatasetRow, 'revision' | 'revision_group' | 'revision_since'>;

/** Writes the counts and the latest revision of a dataset. */
export function writeCounts(
  query: Query,
  { datasetId, lastActivity, ...columns }: StemCounts & HistoryColumns & { datasetId: string; lastActivity: Micros },
) {
  const values = Object.entries(columns).map(([name, value]) => sql`${sql.ref(name)} = ${value}`);
  const update = sql<Pick<DatasetRow, 'pending_until' | 'version'>>`
    update dataset set ${sql.join(values)}, updated_at = ${lastActivity}, version = version + 1,
      pending_until = (select max(live_until) from file where dataset_id = ${datasetId} and state = 'pending')
    where id = ${datasetId}
    returning pending_until, version`;
  return statementOf(query, update);
}

/** A statement in SQL, which takes much less time to build than with the query builder. */
export function statementOf<Row>(query: Query, builder: RawBuilder<Row>): Compilable<Row> {
  return { compile: () => builder.compile(query) };
}

export function insertAll<Table extends keyof Schema>(query: Query, table: Table, rows: readonly Schema[Table][]) {
  // TypeScript can't type a query over a union of tables.
  return rowChunksOf(rows).map((chunk) => query.insertInto(table).values(chunk as never));
}

export function deleteAll<Table extends keyof Schema>(
  query: Query,
  table: Table,
  column: keyof Schema[Table] & string,
  values: readonly string[],
): Compilable<unknown>[] {
  return rowChunksOf(values).map((chunk) => query.deleteFrom(table as 'setting').where(column as 'name', 'in', chunk));
}

export async function rowsOf<Row>(statements: readonly { execute(): Promise<Row[]> }[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const statement of statements) rows.push(...(await statement.execute()));
  return rows;
}

export function rowChunksOf<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += ROWS_PER_STATEMENT) chunks.push(items.slice(i, i + ROWS_PER_STATEMENT));
  return chunks;
}
