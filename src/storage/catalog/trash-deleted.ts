import { type Expression, sql } from 'kysely';
import type { Micros } from '../../dataset/dataset.js';
import type { Database, Query } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { DELETED } from './statements.js';

/** The transactions of others run between two of a deletion. */
const ROWS_PER_TRANSACTION = 100;

interface TrashOptions {
  /** How long blobs stay after the deletion of their dataset. */
  readonly blobGrace: Micros;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Moves the blobs of deleted datasets to the trash, and removes the rows of their files and revisions and then their own, in
 * short transactions. Any number of processes may do so at once, and any of them may end at any moment.
 */
export async function trashDeleted(db: Database, { blobGrace, signal }: TrashOptions): Promise<void> {
  const deleted = db.query.selectFrom('dataset').select('id').where('account_id', '=', DELETED);
  for (const { id } of await deleted.execute()) {
    while (!signal?.aborted && (await trashSome(db, id, blobGrace)));
  }
}

/** @returns whether something is left of the dataset */
function trashSome({ query, hasRowLocks, transact }: Database, id: string, blobGrace: Micros): Promise<boolean> {
  // What a power cut undoes is done again.
  return transact({ isDurable: false }, async ({ send, commit }) => {
    const dataset = query.selectFrom('dataset').select('updated_at').where('id', '=', id);
    const fileRows = query.selectFrom('file').select('id').where('dataset_id', '=', id);
    const revisionRows = query.selectFrom('revision').select('number').where('dataset_id', '=', id);
    const pastRows = query.selectFrom('past_file').select('id').where('dataset_id', '=', id);
    // These rows are close to each other, in the order of an index.
    const [[deleted], files, past, revisions] = await send([
      hasRowLocks ? dataset.forUpdate() : dataset,
      fileRows.orderBy('stem').limit(ROWS_PER_TRANSACTION),
      pastRows.orderBy('filename').limit(ROWS_PER_TRANSACTION),
      revisionRows.orderBy('number').limit(ROWS_PER_TRANSACTION),
    ]);
    if (deleted === undefined) return false;
    const fileIds = files.map((file) => file.id);
    const pastIds = past.slice(0, ROWS_PER_TRANSACTION - files.length).map((file) => file.id);
    const isLast = files.length + past.length + revisions.length < ROWS_PER_TRANSACTION;
    const numbers = revisions
      .slice(0, ROWS_PER_TRANSACTION - fileIds.length - pastIds.length)
      .map(({ number }) => number);
    const deletion = query.deleteFrom('revision').where('dataset_id', '=', id);
    const deleteAfter = deleted.updated_at + blobGrace;
    await commit([
      ...(fileIds.length === 0 ? [] : trashFiles(query, fileIds, deleteAfter)),
      ...(pastIds.length === 0 ? [] : trashPast(query, pastIds, deleteAfter)),
      ...(numbers.length === 0 ? [] : [deletion.where('number', 'in', numbers)]),
      ...(isLast ? [query.deleteFrom('dataset').where('id', '=', id)] : []),
    ]);
    return !isLast;
  });
}

/** The key that `blobKeyOf` makes. */
const BLOB_KEY = sql<string>`dataset_id || '/' || id`.as('blob_key');

/** As `trashBlobs` does; a pending upload may or may not have a blob. */
function trashFiles(query: Query, ids: readonly string[], deleteAfter: Micros) {
  const files = query
    .selectFrom('file')
    .where('id', 'in', ids)
    .where('state', '<>', 'rejected')
    .select([BLOB_KEY, sql<number>`cast(${deleteAfter} as bigint)`.as('delete_after')]);
  return [addToTrash(query, files), query.deleteFrom('file').where('id', 'in', ids)];
}

function trashPast(query: Query, ids: readonly string[], deleteAfter: Micros) {
  const files = query
    .selectFrom('past_file')
    .where('id', 'in', ids)
    .select([BLOB_KEY, sql<number>`cast(${deleteAfter} as bigint)`.as('delete_after')]);
  return [addToTrash(query, files), query.deleteFrom('past_file').where('id', 'in', ids)];
}

/** The history may name a blob several times, and that of a stored file. */
function addToTrash(query: Query, blobs: Expression<Pick<Schema['trash'], 'blob_key' | 'delete_after'>>) {
  return query
    .insertInto('trash')
    .columns(['blob_key', 'delete_after'])
    .expression(blobs)
    .onConflict((conflict) => conflict.column('blob_key').doNothing());
}
