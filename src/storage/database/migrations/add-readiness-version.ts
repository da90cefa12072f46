import type { Kysely } from 'kysely';

/** A number that changes whenever the states of revisions are to be computed again. */
export async function addReadinessVersion(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('dataset')
    .addColumn('readiness_version', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
}
