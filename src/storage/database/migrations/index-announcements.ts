import type { Kysely } from 'kysely';

/** What was announced of the datasets of an account is deleted with its last webhook. */
export async function indexAnnouncements(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('announcement_account').on('announcement').column('account_id').execute();
}
