import type { Kysely } from 'kysely';

/** A mount root looks for the datasets of all accounts with a name. */
export async function indexDatasetName(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('dataset_name').on('dataset').column('name').execute();
}
