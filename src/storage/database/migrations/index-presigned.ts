import { type Kysely, sql } from 'kysely';

/** The pending presigned uploads of a dataset are read in pages. */
export async function indexPresigned(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createIndex('file_presigned')
    .on('file')
    .columns(['dataset_id', 'id'])
    .where(sql<boolean>`state = 'pending' and via = 'presigned'`)
    .execute();
}
