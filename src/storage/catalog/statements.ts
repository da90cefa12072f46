import { type RawBuilder, sql } from 'kysely';
import type { StemCounts } from '../../dataset/counts.js';
import type { DatasetFile, Micros, Role } from '../../dataset/dataset.js';
import type { FileKind } from '../../dataset/media.js';
import { type Database, FOR_UPDATE, query, type Statement, type Transaction } from '../database/database.js';
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

export function datasetsBy({ accountId, ids, name, role, after, afterId, limit }: DatasetFilter) {
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

/** Runs work on one snapshot, without timeouts. It is rolled back unless the work commits. */
export function inSnapshot<T>(
  { transact }: Database,
  work: (run: Database['run'], transaction: Transaction) => Promise<T>,
): Promise<T> {
  return transact({ isDurable: true, hasDeadline: false, isSnapshot: true }, (transaction) =>
    work(async (statement) => (await transaction.send([statement]))[0], transaction),
  );
}

/** Locks the row of a dataset until the end of the transaction. */
export function lockDataset(id: string): Statement<DatasetRow> {
  return sql<DatasetRow>`select * from dataset where id = ${id} ${FOR_UPDATE}`;
}

/** Runs work in a transaction that has locked a dataset; `undefined` if there is none. */
export function withDataset<T>(
  db: Database,
  { id, isDurable = true }: { id: string; isDurable?: boolean },
  work: (row: DatasetRow, transaction: Transaction) => Promise<T>,
): Promise<T | undefined> {
  return db.transact({ isDurable }, async (transaction) => {
    const [[row]] = await transaction.send([lockDataset(id)]);
    return row && work(row, transaction);
  });
}

export function filesOfDataset(datasetId: string) {
  return sql<FileRow>`select * from file where dataset_id = ${datasetId}`;
}

export function filesOfStems(datasetId: string, stems: readonly string[]) {
  const ofDataset = sql`select * from file where dataset_id = ${datasetId}`;
  return rowChunksOf(stems).map((chunk) => sql<FileRow>`${ofDataset} and stem in (${sql.join(chunk)})`);
}

export function storedFilesNamed(datasetId: string, filenames: readonly string[]) {
  return rowChunksOf(filenames).map((chunk) => storedFilesOf(datasetId).where('filename', 'in', chunk));
}

/** Partial indexes need all these conditions in the text, also if one follows from another. */
function storedFilesOf(datasetId: string) {
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
export function storedAfter({ datasetId, after, kind, limit }: FilePage) {
  const page = storedFilesOf(datasetId).where('filename', '>', after).orderBy('filename').limit(limit);
  return kind === undefined ? page : page.where('kind', '=', kind);
}

/** Deletes before it upserts: a written file may have the name of a removed one. */
export function writeFiles({ removed, written }: { removed: readonly DatasetFile[]; written: readonly DatasetFile[] }) {
  const ids = removed.map(({ id }) => id);
  return [...deleteAll('file', 'id', ids), ...rowChunksOf(written).map((files) => upsert(files))];
}

const COLUMNS = sql.raw(FILE_COLUMNS.join(', '));
const EXCLUDED = sql.raw(UPLOAD_COLUMNS.map((column) => `${column} = excluded.${column}`).join(', '));

function upsert(files: readonly DatasetFile[]) {
  const rows = files.map(fileColumns).map((row) => sql`(${sql.join(FILE_COLUMNS.map((column) => row[column]))})`);
  return sql<never>`
    insert into file (${COLUMNS}) values ${sql.join(rows)} on conflict (id) do update set ${EXCLUDED}`;
}

/**
 * Inserts a file, counted already, if its dataset belongs to the account. It fails by a null in `stem` if the stem has `maxNames`,
 * and by a null in `filename` if the dataset has `maxFiles`.
 */
export function insertFile({
  accountId,
  maxNames,
  maxFiles,
  ...row
}: FileRow & { accountId: string; maxNames: number; maxFiles: number }) {
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
  return sql<never>`
    insert into file (${COLUMNS})
    select ${sql.join(values)} from dataset where id = ${row.dataset_id} and account_id = ${accountId}`;
}

export function countNames(datasetId: string) {
  return query
    .selectFrom('file')
    .select(({ fn }) => fn.count<number>('filename').distinct().as('names'))
    .where('dataset_id', '=', datasetId);
}

/** Counts a pending upload; returns the dataset. */
export function countReservation(upload: {
  accountId: string;
  datasetId: string;
  createdAt: Micros;
  aliveUntil: Micros;
}) {
  const until = sql`cast(${upload.aliveUntil} as bigint)`;
  return sql<DatasetRow>`
    update dataset set
      pending = pending + 1, version = version + 1, updated_at = ${upload.createdAt},
      pending_until = case when pending_until > ${until} then pending_until else ${until} end
    where id = ${upload.datasetId} and account_id = ${upload.accountId}
    returning *`;
}

/** The latest revision, and whether it is open. */
export type HistoryColumns = Pick<DatasetRow, 'revision' | 'revision_group' | 'revision_since'>;

/** Writes the counts and the latest revision of a dataset. */
export function writeCounts({
  datasetId,
  lastActivity,
  ...columns
}: StemCounts & HistoryColumns & { datasetId: string; lastActivity: Micros }) {
  const values = Object.entries(columns).map(([name, value]) => sql`${sql.ref(name)} = ${value}`);
  return sql<Pick<DatasetRow, 'pending_until' | 'version'>>`
    update dataset set ${sql.join(values)}, updated_at = ${lastActivity}, version = version + 1,
      pending_until = (select max(live_until) from file where dataset_id = ${datasetId} and state = 'pending')
    where id = ${datasetId}
    returning pending_until, version`;
}

export function insertAll<Table extends keyof Schema>(table: Table, rows: readonly Schema[Table][]) {
  // TypeScript can't type a query over a union of tables.
  return rowChunksOf(rows).map((chunk) => query.insertInto(table).values(chunk as never));
}

export function deleteAll<Table extends keyof Schema>(
  table: Table,
  column: keyof Schema[Table] & string,
  values: readonly string[],
): Statement[] {
  return rowChunksOf(values).map((chunk) => query.deleteFrom(table as 'setting').where(column as 'name', 'in', chunk));
}

export function rowChunksOf<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += ROWS_PER_STATEMENT) chunks.push(items.slice(i, i + ROWS_PER_STATEMENT));
  return chunks;
}
