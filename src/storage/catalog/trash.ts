import { type Expression, sql } from 'kysely';
import type { DatasetFile, Micros } from '../../dataset/dataset.js';
import { blobKeyOf } from '../blobs/blobs.js';
import { type Database, query, type Statement } from '../database/database.js';
import { insertAll, ROWS_PER_STATEMENT, rowChunksOf } from './statements.js';

export const BLOB_KEY = sql<string>`dataset_id || '/' || id`;

/** Blobs without a file, kept for reads in flight. */
export class Trash {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Keys of blobs to delete, at most `ROWS_PER_STATEMENT`. */
  async due(now: Micros): Promise<string[]> {
    const select = query.selectFrom('trash').select('blob_key').where('delete_after', '<=', now);
    return (await this.#db.run(select.limit(ROWS_PER_STATEMENT))).map((row) => row.blob_key);
  }

  /** Adds blobs that are about to be stored. They are deleted unless a change reclaims them. */
  async add(blobKeys: readonly string[], deleteAfter: Micros): Promise<void> {
    const rows = blobKeys.map((blob_key) => ({ blob_key, delete_after: deleteAfter }));
    await this.#db.transact({ isDurable: true }, ({ commit }) => commit(insertAll('trash', rows)));
  }

  /** Removes deleted blobs, unless they were rescheduled, and what they looked like. */
  async remove(blobKeys: readonly string[], now: Micros): Promise<void> {
    const deletion = query.deleteFrom('trash').where('delete_after', '<=', now);
    for (const keys of rowChunksOf(blobKeys)) {
      await this.#db.run(query.deleteFrom('perceptual_hash').where('blob_key', 'in', keys));
      await this.#db.run(deletion.where('blob_key', 'in', keys));
    }
  }

  async reschedule(blobKeys: readonly string[], deleteAfter: Micros): Promise<void> {
    const update = query.updateTable('trash').set({ delete_after: deleteAfter });
    for (const keys of rowChunksOf(blobKeys)) await this.#db.run(update.where('blob_key', 'in', keys));
  }

  /** The keys of these files: the blobs in a folder lack the id of the dataset, with which keys begin. */
  async keysOf(fileIds: readonly string[]): Promise<Set<string>> {
    const [length = 0] = fileIds.map((id) => id.length);
    const fileId = sql<string>`substr(blob_key, length(blob_key) - ${sql.lit(length - 1)})`;
    const keys = new Set<string>();
    for (const ids of rowChunksOf(fileIds)) {
      const rows = query.selectFrom('trash').select('blob_key').where(fileId, 'in', ids);
      for (const { blob_key } of await this.#db.run(rows)) keys.add(blob_key);
    }
    return keys;
  }
}

export function trashBlobs(files: readonly DatasetFile[], deleteAfter: Micros) {
  return rowChunksOf(files).map((chunk) =>
    query
      .insertInto('trash')
      .values(chunk.map((file) => ({ blob_key: blobKeyOf(file), delete_after: deleteAfter })))
      .onConflict((conflict) => conflict.column('blob_key').doNothing()),
  );
}

/** A row may be selected several times. */
export function trashSelected(
  rows: Expression<{ dataset_id: string; id: string }>,
  deleteAfter: Micros,
): Statement<never> {
  // Without a condition, SQLite takes `on conflict` for a join (https://sqlite.org/lang_upsert.html#parsing_ambiguity).
  return sql<never>`
    insert into trash (blob_key, delete_after)
    select ${BLOB_KEY}, cast(${deleteAfter} as bigint) from ${rows} as blob where true
    on conflict (blob_key) do nothing`;
}
