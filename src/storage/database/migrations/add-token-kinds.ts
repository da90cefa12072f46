import { type Kysely, sql } from 'kysely';

/** Sessions of the page, one-time sign-in codes and shares are tokens too, which another token made. */
export async function addTokenKinds(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('token')
    .addColumn('kind', 'text', (c) => c.notNull().defaultTo('token'))
    .execute();
  // No foreign key: a copy of the catalog inserts tokens in the order of their ids.
  await db.schema.alterTable('token').addColumn('parent_id', 'text').execute();
  await db.schema
    .createIndex('token_parent')
    .on('token')
    .columns(['parent_id'])
    .where(sql.ref('parent_id'), 'is not', null)
    .execute();
}

/**
 * The tokens, sessions and shares of an account. With all columns by which they are counted and selected, since a row has kilobytes
 * if it is bound to many datasets.
 */
export async function indexTokensOfAccounts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createIndex('token_account')
    .on('token')
    .columns(['account_id', 'kind', 'revoked_at', 'expires_at', 'created_at', 'parent_id', 'id'])
    .execute();
}
