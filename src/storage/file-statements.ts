import { sql } from 'kysely';
import { aliveUntilOf, type DatasetFile, type Micros, type PendingFile } from '../dataset/dataset.js';
import type { Counts } from '../dataset/tally.js';
import { blobKeyOf } from './blobs.js';
import type { Query } from './database.js';
import { fileColumns, UPLOAD_COLUMNS } from './rows.js';

/** Stays below the number of parameters a statement may have: 32,766 in SQLite, 65,535 in Postgres. */
export const ROWS_PER_STATEMENT = 500;

/** In the text rather than among the parameters: SQLite takes an index over some rows only where the text names them. */
export const IS_PENDING = sql<string>`'pending'`;
export const IS_PRESIGNED = sql<string>`'presigned'`;

/** All rows of some stems of a dataset. */
export function filesOfStems(query: Query, datasetId: string, stems: readonly string[]) {
  return chunksOf(stems).map((chunk) =>
    query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId).where('stem', 'in', chunk),
  );
}

/** Writes what a change made of the rows. */
export function writeDifference(
  query: Query,
  { removed, written }: { removed: readonly DatasetFile[]; written: readonly DatasetFile[] },
) {
  return [
    // What goes makes room for what takes its name.
    ...chunksOf(removed.map((file) => file.id)).map((chunk) => query.deleteFrom('file').where('id', 'in', chunk)),
    ...chunksOf(written).map((chunk) => upsert(query, chunk)),
  ];
}

/** Gives bytes to the trash; those that a presigned link may still bring, once it can't any more. */
export function discard(
  query: Query,
  files: readonly DatasetFile[],
  { now, blobGrace }: { now: Micros; blobGrace: Micros },
) {
  const unusedFrom = ({ upload }: DatasetFile) =>
    upload.state === 'pending' ? Math.max(now, aliveUntilOf(upload)) : now;
  return chunksOf(files).map((chunk) =>
    query
      .insertInto('trash')
      .values(chunk.map((file) => ({ blob_key: blobKeyOf(file), delete_after: unusedFrom(file) + blobGrace })))
      .onConflict((conflict) => conflict.column('blob_key').doNothing()),
  );
}

function upsert(query: Query, files: readonly DatasetFile[]) {
  return query
    .insertInto('file')
    .values(files.map(fileColumns))
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet((eb) =>
          Object.fromEntries(UPLOAD_COLUMNS.map((column) => [column, eb.ref(`excluded.${column}`)])),
        ),
    );
}

/** Adds a file where its dataset exists and is the account's. */
export function insertFile(query: Query, accountId: string, file: PendingFile) {
  const columns = fileColumns(file);
  const names = Object.keys(columns) as (keyof typeof columns)[];
  return query
    .insertInto('file')
    .columns(names)
    .expression((eb) =>
      eb
        .selectFrom('dataset')
        .select(names.map((name) => eb.val(columns[name]).as(name)))
        .where('id', '=', file.datasetId)
        .where('account_id', '=', accountId),
    );
}

/** Moves the counts of a dataset by a promise that is added; gives the dataset. */
export function countPromise(query: Query, accountId: string, { datasetId, createdAt, upload }: PendingFile) {
  const aliveUntil = aliveUntilOf(upload);
  return query
    .updateTable('dataset')
    .set((eb) => ({
      pending: eb('pending', '+', 1),
      pending_until: eb
        .case()
        .when('pending_until', '>', aliveUntil)
        .then(eb.ref('pending_until'))
        .else(eb.val(aliveUntil))
        .end(),
      updated_at: createdAt,
    }))
    .where('id', '=', datasetId)
    .where('account_id', '=', accountId)
    .returningAll();
}

/** Writes the counts of a dataset, and works out when the last of its pending uploads stops being alive. */
export function writeCounts(
  query: Query,
  datasetId: string,
  { lastActivity, ...counts }: Counts & { lastActivity: Micros },
) {
  const pendingUntil = query
    .selectFrom('file')
    .select(({ fn }) => fn.max('alive_until').as('latest'))
    .where('dataset_id', '=', datasetId)
    .where('state', '=', IS_PENDING);
  return query
    .updateTable('dataset')
    .set({ ...counts, updated_at: lastActivity, pending_until: counts.pending === 0 ? null : pendingUntil })
    .where('id', '=', datasetId)
    .returning('pending_until');
}

/** Gives the bytes of a whole dataset to the trash as `discard` does, those that may be there included. */
export function discardDataset(
  query: Query,
  key: { accountId: string; id: string },
  { now, blobGrace }: { now: Micros; blobGrace: Micros },
) {
  const files = query
    .selectFrom('file')
    .innerJoin('dataset', 'dataset.id', 'file.dataset_id')
    .where('dataset.id', '=', key.id)
    .where('dataset.account_id', '=', key.accountId)
    .where('file.state', '<>', 'rejected')
    .select((eb) => [
      // As `blobKeyOf` has it.
      sql<string>`dataset.id || '/' || file.id`.as('blob_key'),
      eb
        .case()
        .when(eb.and([eb('file.via', '=', IS_PRESIGNED), eb('file.alive_until', '>', now)]))
        .then(eb('file.alive_until', '+', blobGrace))
        .else(eb.val(now + blobGrace))
        .end()
        .as('delete_after'),
    ]);
  return query.insertInto('trash').columns(['blob_key', 'delete_after']).expression(files);
}

/** Pieces that fit into one statement. */
export function chunksOf<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += ROWS_PER_STATEMENT) chunks.push(items.slice(i, i + ROWS_PER_STATEMENT));
  return chunks;
}
