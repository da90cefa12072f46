import type { Kysely } from 'kysely';

/** When the presigned link of a file ends, which can write its object again until then. */
export async function addLinkUntil(db: Kysely<unknown>): Promise<void> {
  for (const table of ['file', 'trash']) {
    await db.schema.alterTable(table).addColumn('link_until', 'bigint').execute();
  }
}
