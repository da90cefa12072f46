import type { Kysely } from 'kysely';

/** The past files of a revision are found in the index alone, without a look at the row of each that was removed since. */
export async function indexAddedIn(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('past_file_removed').execute();
  await db.schema
    .createIndex('past_file_removed')
    .on('past_file')
    .columns(['dataset_id', 'removed_in', 'added_in'])
    .execute();
}
