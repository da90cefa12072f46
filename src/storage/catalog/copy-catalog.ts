import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type Selectable, sql } from 'kysely';
import { countsOf } from '../../dataset/counts.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { blobKeyOf, type FoundBlob } from '../blobs/blobs.js';
import type { Database, Query } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import {
  datasetPagesOf,
  inSnapshot,
  jobPagesOf,
  type PlainTable,
  PRIMARY_KEYS,
  pagesOf,
  type RunStatement,
  runOn,
} from './catalog-rows.js';
import { countColumns, type DatasetRow, type FileRow, fileOf } from './rows.js';
import { hasDataset, ROWS_PER_STATEMENT, rowChunksOf } from './statements.js';

/** The blob of a received or stored file, or of a past one. */
export interface ReferencedBlob {
  readonly fileId: string;
  readonly key: string;
  readonly filename: string;
  readonly datasetId: string;
  readonly datasetName: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Whether the catalog has recorded already that the bytes are lost. */
  readonly isKnownLost: boolean;
}

/** The store lacks a blob that the catalog references: it is lost, or the catalog has changed since the copy. */
export class BlobMissing extends Error {}

export interface CatalogCopyOptions {
  /** Finds blobs in the target's store. */
  readonly find: (keys: readonly string[]) => Promise<Map<string, FoundBlob>>;
  /** Both catalogs use one store, so that the versions of blobs stay. */
  readonly isSameStore: boolean;
  /**
   * The lost files, by id: the target has them with this problem, as a recheck leaves them, and their datasets are FAILED. A lost
   * received file stays, and the background check rejects it.
   */
  readonly lost: ReadonlyMap<string, { readonly datasetId: string; readonly problem: ErrorProblem }>;
  readonly signal: AbortSignal;
}

/** Reads the blobs that a catalog references in pages, each once. */
export async function* referencedBlobs({ query }: Database): AsyncGenerator<ReferencedBlob[]> {
  for await (const { dataset, rows } of datasetPagesOf(query, runOn(query), 'file')) {
    const stored = rows.filter(hasBlob);
    if (stored.length > 0) yield stored.map((row) => namedBlobOf(row, dataset));
  }
  let last = '';
  for await (const { dataset, rows } of datasetPagesOf(query, runOn(query), 'past_file')) {
    // Rows of one file, which was restored and removed again, follow each other.
    const ids = [...new Set(rows.map(({ id }) => id))].filter((id) => id !== last);
    last = rows.at(-1)?.id ?? last;
    const present = await presentIds(query, ids);
    const byId = new Map(rows.map((row) => [row.id, row]));
    const only = ids.filter((id) => !present.has(id)).flatMap((id) => byId.get(id) ?? []);
    if (only.length > 0) yield only.map((row) => namedBlobOf(row, dataset));
  }
}

async function presentIds(query: Query, ids: readonly string[]): Promise<Set<string>> {
  const present = new Set<string>();
  for (const chunk of rowChunksOf(ids)) {
    for (const { id } of await query.selectFrom('file').select('id').where('id', 'in', chunk).execute())
      present.add(id);
  }
  return present;
}

/** The number of blobs of received, stored and past files, and of their bytes. Counting all of them may take long. */
export async function storedTotals(db: Database): Promise<{ files: number; bytes: number }> {
  const { query, hasRowLocks } = db;
  const past = query
    .selectFrom('past_file')
    .select(['id', 'size_bytes'])
    .where(hasDataset('past_file'))
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('file').select('file.id').whereRef('file.id', '=', 'past_file.id'))),
    );
  const blobs = query
    .selectFrom('file')
    .select(['id', 'size_bytes'])
    .where('state', 'in', ['received', 'stored'])
    .where(hasDataset('file'))
    // Without duplicates.
    .union(past)
    .as('blob');
  const select = query
    .selectFrom(blobs)
    .select(({ fn }) => [fn.countAll().as('files'), fn.sum('size_bytes').as('bytes')]);
  // SQLite has no timeouts, and a transaction would block the writes of a server.
  const [totals] = hasRowLocks ? await inSnapshot(db, (run) => run(select)) : await select.execute();
  return { files: Number(totals?.files), bytes: Number(totals?.bytes ?? 0) };
}

/** True if no table has a row. A row of a file needs one of its dataset. */
export async function isEmptyCatalog({ query }: Database): Promise<boolean> {
  for (const table of Object.keys(PRIMARY_KEYS) as PlainTable[]) {
    for await (const _ of pagesOf(query, runOn(query), table)) return false;
  }
  return true;
}

/**
 * True if two connections to Postgres lead to the same tables, also through different URLs. An advisory lock is local to a
 * database (https://www.postgresql.org/docs/current/view-pg-locks.html), in which each table has its own oid.
 */
export async function haveSameTables(one: Database, other: Database): Promise<boolean> {
  if (!one.hasRowLocks || !other.hasRowLocks) return false;
  const key = sql`'dataset'::regclass::oid::bigint + ${randomInt(2 ** 47)}::bigint`;
  const lock = sql<unknown>`pg_advisory_xact_lock(${key})`.as('locked');
  const attempt = sql<boolean>`pg_try_advisory_xact_lock(${key})`.as('locked');
  const options = { isDurable: false };
  return one.transact(options, async ({ send: sendOne }) => {
    await sendOne([one.query.selectNoFrom(lock)]);
    return other.transact(options, async ({ send }) => {
      const [[row]] = await send([other.query.selectNoFrom(attempt)]);
      return row?.locked === false;
    });
  });
}

/** True if two catalogs have the same rows: an earlier copy is complete. Ignores versions of blobs and the trash. */
export async function haveSameRows(from: Database, to: Database): Promise<boolean> {
  return inSnapshot(from, (readOne) =>
    inSnapshot(to, async (readOther) => {
      const [one, other] = [comparableRows(from.query, readOne), comparableRows(to.query, readOther)];
      for (;;) {
        const [a, b] = [await one.next(), await other.next()];
        if (a.done || b.done) return a.done === b.done;
        if (!isDeepStrictEqual(a.value, b.value)) return false;
      }
    }),
  );
}

async function* comparableRows(query: Query, run: RunStatement): AsyncGenerator<object> {
  for (const table of Object.keys(PRIMARY_KEYS) as PlainTable[]) {
    if (table === 'trash') continue;
    for await (const rows of pagesOf(query, run, table)) for (const row of rows) yield { ...row };
  }
  for (const table of ['file', 'past_file'] as const) {
    for await (const { rows } of datasetPagesOf(query, run, table)) {
      for (const row of rows) yield { ...row, blob_version: null };
    }
  }
  for (const table of ['revision', 'link'] as const) {
    for await (const { rows } of datasetPagesOf(query, run, table)) for (const row of rows) yield { ...row };
  }
}

/**
 * Copies one snapshot of all rows into an empty catalog, in one transaction, with the versions that the target's store has
 * for the blobs.
 *
 * @throws BlobMissing if the store lacks a blob; the signal's reason
 */
export async function copyCatalog(from: Database, to: Database, options: CatalogCopyOptions): Promise<void> {
  const { lost, signal } = options;
  const damagedDatasets = new Set([...lost.values()].map(({ datasetId }) => datasetId));
  await inSnapshot(from, (read) =>
    inSnapshot(to, async (run, { commit }) => {
      for (const table of Object.keys(PRIMARY_KEYS) as PlainTable[]) {
        for await (const page of pagesOf(from.query, read, table)) {
          signal.throwIfAborted();
          const rows =
            table !== 'dataset' ? page : await withCounts(page as DatasetRow[], { read, from, lost, damagedDatasets });
          for (const chunk of rowChunksOf<object>(rows)) await run(to.query.insertInto(table).values(chunk as never));
        }
      }
      for await (const { dataset, rows } of datasetPagesOf(from.query, read, 'file')) {
        signal.throwIfAborted();
        const marked = rows.map((row) => markedIfLost(row, lost));
        for (const chunk of rowChunksOf(await withVersions(marked, dataset, options))) {
          await run(to.query.insertInto('file').values(chunk));
        }
      }
      for await (const { dataset, rows } of datasetPagesOf(from.query, read, 'past_file')) {
        signal.throwIfAborted();
        const marked = rows.map((row) => markedIfLost(row, lost));
        for (const chunk of rowChunksOf(await withVersions(marked, dataset, options))) {
          await run(to.query.insertInto('past_file').values(chunk));
        }
      }
      for await (const { rows } of datasetPagesOf(from.query, read, 'revision')) {
        for (const chunk of rowChunksOf(rows)) await run(to.query.insertInto('revision').values(chunk));
      }
      for await (const rows of jobPagesOf(from.query, read)) {
        signal.throwIfAborted();
        // The processes of the source continue no job of the target.
        const waiting = rows.map((row) => ({ ...row, lease: null }));
        for (const chunk of rowChunksOf(waiting)) await run(to.query.insertInto('job').values(chunk));
      }
      for await (const { rows } of datasetPagesOf(from.query, read, 'link')) {
        await run(to.query.insertInto('link').values(rows));
      }
      await copyJobs(from.query, read, (rows) =>
        run(
          to.query
            .insertInto('job')
            .values(rows)
            .onConflict((conflict) => conflict.doNothing()),
        ),
      );
      await commit([]);
    }),
  );
}

/** Copies jobs in pages. The workers of the source keep their claims for themselves. */
async function copyJobs(
  query: Query,
  read: RunStatement,
  insert: (rows: Selectable<Schema['job']>[]) => Promise<unknown>,
): Promise<void> {
  const all = query.selectFrom('job').selectAll().orderBy('kind').orderBy('key').limit(ROWS_PER_STATEMENT);
  for (let page = all; ; ) {
    const rows = await read(page);
    const last = rows.at(-1);
    if (last === undefined) return;
    await insert(rows.map((row) => ({ ...row, lease: null })));
    page = all.where(({ eb, refTuple, tuple }) => eb(refTuple('kind', 'key'), '>', tuple(last.kind, last.key)));
  }
}

/** Writes the versions that the new store of a catalog has for its blobs, in one transaction. @throws BlobMissing */
export async function rewriteVersions(catalog: Database, options: CatalogCopyOptions): Promise<void> {
  const { query } = catalog;
  await inSnapshot(catalog, async (run, { send, commit }) => {
    for (const table of ['file', 'past_file'] as const) {
      for await (const { dataset, rows } of datasetPagesOf(query, run, table)) {
        options.signal.throwIfAborted();
        const stored = await withVersions(rows.filter(hasBlob), dataset, options);
        for (const chunk of rowChunksOf(stored)) {
          await send(
            chunk.map(({ id, blob_version }) => query.updateTable(table).set({ blob_version }).where('id', '=', id)),
          );
        }
      }
    }
    await commit([]);
  });
}

/** A row of a file, or of a past one, which has no state. */
type BlobRow = Pick<FileRow, 'id' | 'filename' | 'size_bytes' | 'sha256' | 'blob_version' | 'problem'> & {
  state?: string;
};

function hasBlob({ state = 'stored' }: BlobRow): boolean {
  return state === 'received' || state === 'stored';
}

function namedBlobOf(row: BlobRow, dataset: DatasetRow): ReferencedBlob {
  const { id, filename, size_bytes, sha256, problem } = row;
  if (size_bytes === null || sha256 === null) throw new Error(`The catalog has no SHA-256 of ${filename} (${id}).`);
  const key = blobKeyOf({ id, datasetId: dataset.id });
  const names = { filename, datasetId: dataset.id, datasetName: dataset.name };
  const isKnownLost = problem !== null && (JSON.parse(problem) as ErrorProblem).code === 'BYTES_LOST';
  return { fileId: id, key, ...names, sizeBytes: size_bytes, sha256, isKnownLost };
}

/** The rows with the versions of their blobs in the store. @throws BlobMissing unless the row says that the blob is lost */
async function withVersions<Row extends BlobRow>(
  rows: readonly Row[],
  dataset: DatasetRow,
  options: CatalogCopyOptions,
): Promise<Row[]> {
  const keyOf = ({ id }: BlobRow) => blobKeyOf({ id, datasetId: dataset.id });
  const found = await options.find(rows.filter(hasBlob).map(keyOf));
  return rows.map((row) => {
    if (!hasBlob(row)) return row;
    const blob = found.get(keyOf(row));
    if (blob?.sizeBytes !== row.size_bytes) {
      if (row.problem !== null || (row.state === 'received' && options.lost.has(row.id))) return row;
      throw new BlobMissing(`${row.filename} of "${dataset.name}" is missing in the blob store of the target.`);
    }
    return options.isSameStore ? row : { ...row, blob_version: blob.version };
  });
}

/** Gives a lost stored or past file its problem, unless it has one already. */
function markedIfLost<Row extends BlobRow>(row: Row, lost: CatalogCopyOptions['lost']): Row {
  const problem = lost.get(row.id)?.problem;
  if (problem === undefined || row.problem !== null || row.state === 'received') return row;
  return { ...row, problem: JSON.stringify(problem) };
}

/** Counts the files of the damaged datasets again. */
async function withCounts(
  rows: DatasetRow[],
  context: {
    read: RunStatement;
    from: Database;
    lost: CatalogCopyOptions['lost'];
    damagedDatasets: ReadonlySet<string>;
  },
): Promise<DatasetRow[]> {
  const { read, from, lost, damagedDatasets } = context;
  const counted: DatasetRow[] = [];
  for (const row of rows) {
    if (damagedDatasets.has(row.id)) {
      const files = await read(from.query.selectFrom('file').selectAll().where('dataset_id', '=', row.id));
      const kept = files.map((file) => fileOf(markedIfLost(file, lost)));
      counted.push({ ...row, ...countColumns(countsOf(kept, row.updated_at)) });
    } else counted.push(row);
  }
  return counted;
}
