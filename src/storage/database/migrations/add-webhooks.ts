import { type Kysely, sql } from 'kysely';

/** The tables of webhooks, a part of `Schema`. */
export interface WebhookTables {
  webhook: {
    id: string;
    account_id: string;
    url: string;
    /** The types of events that it receives, as a JSON array. */
    events: string;
    /** `whsec_` and the Base64 of the key that signs its deliveries. */
    secret: string;
    created_at: number;
    /** Null while it is enabled. */
    disabled_at: number | null;
  };
  /** An event for one webhook. `next_at` of those of one dataset never decreases, so that they are sent in order. */
  webhook_delivery: {
    id: string;
    webhook_id: string;
    /** Null for a test. */
    dataset_id: string | null;
    event: string;
    /** The body of the request. */
    payload: string;
    created_at: number;
    attempts: number;
    attempted_at: number | null;
    /** When the next attempt is due; null if none is. */
    next_at: number | null;
    delivered_at: number | null;
    /** The HTTP status of the last answer. */
    answer: number | null;
    /** Why the last attempt failed, for a person. */
    error: string | null;
  };
}

export async function addWebhooks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('webhook')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('account.id').onDelete('cascade'))
    .addColumn('url', 'text', (c) => c.notNull())
    .addColumn('events', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('disabled_at', 'bigint')
    .addColumn('lease_until', 'bigint')
    .addColumn('lease_token', 'text')
    .execute();
  await db.schema.createIndex('webhook_account').on('webhook').column('account_id').execute();
  await db.schema
    .createTable('webhook_delivery')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('webhook_id', 'text', (c) => c.notNull().references('webhook.id').onDelete('cascade'))
    .addColumn('dataset_id', 'text')
    .addColumn('event', 'text', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('attempts', 'bigint', (c) => c.notNull().defaultTo(0))
    .addColumn('attempted_at', 'bigint')
    .addColumn('next_at', 'bigint')
    .addColumn('delivered_at', 'bigint')
    .addColumn('answer', 'bigint')
    .addColumn('error', 'text')
    .execute();
  await db.schema
    .createIndex('webhook_delivery_latest')
    .on('webhook_delivery')
    .columns(['webhook_id', 'created_at'])
    .execute();
  await db.schema
    .createIndex('webhook_delivery_due')
    .on('webhook_delivery')
    .columns(['webhook_id', 'next_at'])
    .where(sql.ref('next_at'), 'is not', null)
    .execute();
  await db.schema
    .createTable('announcement')
    .addColumn('dataset_id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('account.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('status', 'text')
    .addColumn('digest', 'text')
    .addColumn('seen_at', 'bigint', (c) => c.notNull())
    .addColumn('announced_at', 'bigint', (c) => c.notNull())
    .execute();
}
