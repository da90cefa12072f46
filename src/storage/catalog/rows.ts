import { type RawBuilder, type Selectable, sql } from 'kysely';
import { COUNT_FIELDS, countsInRole, type StemCounts } from '../../dataset/counts.js';
import {
  type Author,
  type CaptionOrigin,
  type Dataset,
  type DatasetCounts,
  type DatasetFile,
  liveUntil,
  type Micros,
  type PendingFile,
  type ReceivedFile,
  type Role,
  type StoredFile,
  type Upload,
} from '../../dataset/dataset.js';
import type { Group } from '../../dataset/groups.js';
import type { VersionedFile } from '../../dataset/history/revisions.js';
import type { Facts } from '../../dataset/inspect/inspection.js';
import { type FileKind, stemOf } from '../../dataset/media.js';
import type { Warning } from '../../dataset/problems.js';
import { type Database, FOR_UPDATE, query, type Statement, type Transaction } from '../database/database.js';
import { type Schema, TABLES } from '../database/schema.js';

export type FileRow = Selectable<Schema['file']>;
export type PastFileRow = Selectable<Schema['past_file']>;
export type DatasetRow = Selectable<Schema['dataset']>;

/** A dataset and the account that it must belong to. */
export type DatasetKeyOfAccount = Pick<Dataset, 'accountId' | 'id'>;

export type OwnCounts = Omit<DatasetCounts, 'unpaired'>;

export interface DatasetRecord extends Omit<Dataset, 'links' | 'counts'> {
  readonly counts: OwnCounts;
}

export function datasetRecordOf(row: DatasetRow): DatasetRecord {
  const { id, account_id: accountId, name, created_at: createdAt, updated_at: updatedAt } = row;
  const { revision, version, linked } = row;
  const role = row.role as Role;
  const counts = countsInRole(countsInRow(row), role);
  const isLinkedTo = linked === LINKED.to;
  const groups = groupsInRow(row);
  return { id, accountId, name, role, createdAt, updatedAt, counts, isLinkedTo, groups, revision, version };
}

export function groupsInRow({ file_groups: groups }: DatasetRow): readonly Group[] {
  return groups === null ? [] : JSON.parse(groups);
}

export function unlinkedDatasetOf(row: DatasetRow): Dataset {
  const record = datasetRecordOf(row);
  return { ...record, counts: { ...record.counts, unpaired: 0 }, links: [] };
}

/** The counts of a row, as if the dataset were for training. */
export function countsInRow(row: DatasetRow): OwnCounts {
  const { pending_until: pendingUntil, updated_at: lastActivity } = row;
  const counts = Object.fromEntries(COUNT_FIELDS.map((name) => [name, row[name]])) as unknown as StemCounts;
  return { ...counts, pendingUntil, lastActivity };
}

/** The values of `dataset.linked`. */
export const LINKED = { none: 0, from: 1, to: 2 } as const;

/** The columns of a stored file, without its state. */
const STORED_COLUMNS = Object.keys(TABLES.past_file.columns).filter((column) => column !== 'removed_in');

export const STORED = sql.raw(STORED_COLUMNS.join(', '));

export type StoredRow = Pick<FileRow, Exclude<keyof PastFileRow, 'removed_in'>>;

/** Reads a JSON column that is not null in this state. */
export type ReadJson = <T>(text: string | null) => T;

const readJson: ReadJson = (text) => JSON.parse(required(text));

/** Parses equal texts once: most of many files have the same facts and no warnings. */
export function jsonReader(): ReadJson {
  const parsed = new Map<string | null, unknown>();
  return <T>(text: string | null) => {
    let value = parsed.get(text);
    if (value === undefined) {
      value = readJson(text);
      parsed.set(text, value);
    }
    return value as T;
  };
}

export function fileOf(row: FileRow): DatasetFile {
  return fileWith(row, uploadOf(row, readJson));
}

export function filesOf(rows: readonly FileRow[]): DatasetFile[] {
  const read = jsonReader();
  return rows.map((row) => fileWith(row, uploadOf(row, read)));
}

export function storedFilesOf(rows: readonly StoredRow[]): StoredFile[] {
  const read = jsonReader();
  return rows.map((row) => fileWith(row, storedUploadOf(row, read)));
}

export function pastFileOf(row: PastFileRow): VersionedFile {
  return { ...fileWith(row, storedUploadOf(row, readJson)), removedIn: row.removed_in };
}

function fileWith<U extends Upload>(row: StoredRow, upload: U): DatasetFile<U> {
  const { id, dataset_id: datasetId, filename, created_at: createdAt, group_name: group } = row;
  return { id, datasetId, filename, kind: row.kind as FileKind, createdAt, ...(group !== null && { group }), upload };
}

function uploadOf(row: FileRow, read: ReadJson): Upload {
  switch (row.state) {
    case 'pending':
      return {
        state: 'pending',
        via: required(row.via) as PendingFile['upload']['via'],
        expectedBytes: row.expected_bytes,
        ...givenOf(row),
        expiresAt: required(row.expires_at),
        leaseUntil: row.lease_until,
        leaseToken: row.lease_token,
      };
    case 'received':
      return { state: 'received', ...bytesOf(row, read), receivedAt: required(row.received_at), ...givenOf(row) };
    case 'stored':
      return storedUploadOf(row, read);
    case 'rejected':
      return { state: 'rejected', problem: readJson(row.problem), finalizedAt: required(row.finalized_at) };
    default:
      throw new Error(`The catalog has a file in the state "${row.state}", which this version does not support.`);
  }
}

function storedUploadOf(row: StoredRow, read: ReadJson): StoredFile['upload'] {
  const finalizedAt = required(row.finalized_at);
  const { added_in: addedIn, thumbhash } = row;
  const shown = {
    ...(thumbhash !== null && { thumbhash }),
    ...(row.origin !== null && { origin: read<CaptionOrigin>(row.origin) }),
  };
  const stored = { state: 'stored', ...bytesOf(row, read), finalizedAt, addedIn, ...shown } as const;
  return row.problem === null ? stored : { ...stored, problem: read(row.problem) };
}

function givenOf({ condition, author }: FileRow) {
  return {
    ...(condition !== null && { condition: JSON.parse(condition) }),
    ...(author !== null && { author: JSON.parse(author) as Author }),
  };
}

function bytesOf(row: StoredRow, read: ReadJson) {
  return {
    sizeBytes: required(row.size_bytes),
    sha256: required(row.sha256),
    contentType: required(row.content_type),
    facts: read<Facts>(row.facts),
    warnings: read<readonly Warning[]>(row.warnings),
    blobVersion: row.blob_version,
  };
}

export function required<T>(value: T | null): T {
  if (value === null) throw new Error('The catalog has a file that lacks a column of its state.');
  return value;
}

const CONSTANT_COLUMNS: readonly string[] = ['id', 'dataset_id', 'filename', 'stem', 'kind', 'created_at'];

export const FILE_COLUMNS = Object.keys(TABLES.file.columns) as (keyof FileRow)[];

/** The columns that depend on the state of an upload. */
const UPLOAD_COLUMNS = FILE_COLUMNS.filter((column) => !CONSTANT_COLUMNS.includes(column));

const EMPTY = {
  ...Object.fromEntries(FILE_COLUMNS.map((column) => [column, null])),
  added_in: 0,
} as Partial<FileRow> as FileRow;

export function fileColumns(file: DatasetFile): FileRow {
  return {
    ...EMPTY,
    id: file.id,
    dataset_id: file.datasetId,
    filename: file.filename,
    stem: stemOf(file.filename),
    kind: file.kind,
    state: file.upload.state,
    created_at: file.createdAt,
    ...uploadColumns(file.upload),
    group_name: file.group ?? null,
  };
}

function uploadColumns(upload: Upload): Partial<FileRow> {
  switch (upload.state) {
    case 'pending':
      return {
        ...{ ...givenColumns(upload), via: upload.via, expected_bytes: upload.expectedBytes },
        ...{ expires_at: upload.expiresAt, lease_until: upload.leaseUntil, lease_token: upload.leaseToken },
        live_until: liveUntil(upload),
      };
    case 'received':
      return { ...bytesColumns(upload), received_at: upload.receivedAt, ...givenColumns(upload) };
    case 'stored': {
      const problem = upload.problem === undefined ? null : JSON.stringify(upload.problem);
      const origin = upload.origin === undefined ? null : JSON.stringify(upload.origin);
      const { finalizedAt, addedIn = 0, thumbhash = null } = upload;
      return { ...bytesColumns(upload), finalized_at: finalizedAt, added_in: addedIn, problem, thumbhash, origin };
    }
    case 'rejected':
      return { problem: JSON.stringify(upload.problem), finalized_at: upload.finalizedAt };
  }
}

function givenColumns({ condition, author }: (PendingFile | ReceivedFile)['upload']) {
  const jsonOf = (value: object | undefined) => (value === undefined ? null : JSON.stringify(value));
  return { condition: jsonOf(condition), author: jsonOf(author) };
}

function bytesColumns(upload: (ReceivedFile | StoredFile)['upload']): Partial<FileRow> {
  return {
    size_bytes: upload.sizeBytes,
    sha256: upload.sha256,
    content_type: upload.contentType,
    facts: JSON.stringify(upload.facts),
    warnings: JSON.stringify(upload.warnings),
    blob_version: upload.blobVersion,
  };
}

/** SQLite takes 32,766 parameters and Postgres 65,535; a row of a file takes some 20. */
export const ROWS_PER_STATEMENT = 500;

/** Selects datasets; an empty filter matches all. */
export interface DatasetFilter {
  readonly accountId?: string | undefined;
  /** At most `ROWS_PER_STATEMENT`. */
  readonly ids?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  /** Only datasets older than this one. */
  readonly after?: { readonly createdAt: Micros; readonly id: string } | undefined;
  readonly limit?: number | undefined;
}

export function datasetsBy({ accountId, ids, name, role, after, limit }: DatasetFilter) {
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
  return rowChunksOf(stems).map((chunk) => sql<FileRow>`${filesOfDataset(datasetId)} and stem in (${sql.join(chunk)})`);
}

export function storedFilesNamed(datasetId: string, filenames: readonly string[]) {
  return rowChunksOf(filenames).map((chunk) => selectStored(datasetId).where('filename', 'in', chunk));
}

/** SQLite uses a partial index only if the text has its condition, also if it follows from another. */
function selectStored(datasetId: string) {
  const isStored = sql<boolean>`state <> 'pending' and state <> 'received' and state = 'stored'`;
  return query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId).where(isStored);
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
  const page = selectStored(datasetId).where('filename', '>', after).orderBy('filename').limit(limit);
  return kind === undefined ? page : page.where('kind', '=', kind);
}

const COLUMNS = sql.raw(FILE_COLUMNS.join(', '));
const EXCLUDED = sql.raw(UPLOAD_COLUMNS.map((column) => `${column} = excluded.${column}`).join(', '));

export function upsertFiles(files: readonly DatasetFile[]) {
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
  return sql<{ names: number }>`select count(distinct filename) as names from file where dataset_id = ${datasetId}`;
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
  return sql<never>`
    update dataset set ${sql.join(values)}, updated_at = ${lastActivity}, version = version + 1,
      pending_until = (select max(live_until) from file where dataset_id = ${datasetId} and state = 'pending')
    where id = ${datasetId}`;
}

export function insertAll<Table extends keyof Schema>(table: Table, rows: readonly Schema[Table][]) {
  // TypeScript can't type a query over a union of tables.
  return rowChunksOf(rows).map((chunk) => query.insertInto(table).values(chunk as never));
}

export function rowChunksOf<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += ROWS_PER_STATEMENT) chunks.push(items.slice(i, i + ROWS_PER_STATEMENT));
  return chunks;
}
