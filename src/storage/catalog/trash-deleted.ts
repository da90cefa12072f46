import { type Compilable, sql } from 'kysely';
import type { Micros } from '../../dataset/dataset.js';
import type { Database, Query } from '../database/database.js';
import { DELETED } from './statements.js';

/** The transactions of others run between two of a deletion. */
const ROWS_PER_TRANSACTION = 50;

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
    const pastRows = query.selectFrom('past_file').select('id').where('dataset_id', '=', id);
    const revisionRows = query.selectFrom('revision').select('number').where('dataset_id', '=', id);
    // These rows are close to each other, in the order of an index.
    const [[deleted], files, past, revisions] = await send([
      hasRowLocks ? dataset.forUpdate() : dataset,
      fileRows.orderBy('stem').limit(ROWS_PER_TRANSACTION),
      pastRows.orderBy('filename').limit(ROWS_PER_TRANSACTION),
      revisionRows.orderBy('number').limit(ROWS_PER_TRANSACTION),
    ]);
    if (deleted === undefined) return false;
    const isLast = [files, past, revisions].every((rows) => rows.length < ROWS_PER_TRANSACTION);
    const deleteAfter = deleted.updated_at + blobGrace;
    const last = revisions.at(-1)?.number ?? 0;
    await commit([
      ...trashRows(query, 'file', { ids: files.map((file) => file.id), deleteAfter }),
      ...trashRows(query, 'past_file', { ids: past.map((file) => file.id), deleteAfter }),
      query.deleteFrom('revision').where('dataset_id', '=', id).where('number', '<=', last),
      ...(isLast ? [query.deleteFrom('dataset').where('id', '=', id)] : []),
    ]);
    return !isLast;
  });
}

/** Moves the blobs of rows to the trash, and deletes the rows. A pending upload may have a blob; the history may name one again. */
function trashRows(
  query: Query,
  table: 'file' | 'past_file',
  { ids, deleteAfter }: { ids: readonly string[]; deleteAfter: Micros },
): Compilable<unknown>[] {
  if (ids.length === 0) return [];
  // TypeScript can't type a query over a union of tables.
  const rows = query.selectFrom(table as 'file').where('id', 'in', ids);
  const blobs = (table === 'file' ? rows.where('state', '<>', 'rejected') : rows).select([
    // As `blobKeyOf` makes it.
    sql<string>`dataset_id || '/' || id`.as('blob_key'),
    sql<number>`cast(${deleteAfter} as bigint)`.as('delete_after'),
  ]);
  return [
    query
      .insertInto('trash')
      .columns(['blob_key', 'delete_after'])
      .expression(blobs)
      .onConflict((conflict) => conflict.column('blob_key').doNothing()),
    query.deleteFrom(table as 'file').where('id', 'in', ids),
  ];
}
