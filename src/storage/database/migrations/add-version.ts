import type { Kysely } from 'kysely';

/** A number that changes with each change to a dataset or its files. */
export async function addVersion(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('dataset')
    .addColumn('version', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
}
