import { type Kysely, type Migration, sql } from 'kysely';

/**
 * The tables. Times are microseconds since 1970 UTC; JSON is stored as text. Some columns keep older names: `settled_at`
 * is `finalizedAt`, `promised_bytes` is `expectedBytes`, `arriving_until` and `arriving_by` are `leaseUntil` and
 * `leaseToken`, `alive_until` is `liveUntil(upload)`.
 */
export interface Schema {
  account: { id: string; name: string; created_at: number };
  token: {
    id: string;
    account_id: string;
    /** SHA-256 of the token, hexadecimal; the token itself is not stored. */
    digest: string;
    /** The first characters of the token, by which a person recognizes it. */
    hint: string;
    created_at: number;
    revoked_at: number | null;
  };
  dataset: {
    id: string;
    account_id: string;
    name: string;
    created_at: number;
    /** The last time that an upload was reserved or finalized, or a file was removed. */
    updated_at: number;
    pending: number;
    pending_until: number | null;
    rejected: number;
    images: number;
    videos: number;
    captions: number;
    trainable: number;
    uncaptioned: number;
    collisions: number;
    bytes: number;
    received: number;
  };
  file: {
    id: string;
    dataset_id: string;
    filename: string;
    stem: string;
    kind: string;
    state: string;
    created_at: number;
    /** Of a received row: `receivedAt`. */
    settled_at: number | null;
    /** From here to `expires_at`, and `alive_until`: null unless the row is pending. */
    via: string | null;
    promised_bytes: number | null;
    expires_at: number | null;
    /** The lease of a pending or received row. */
    arriving_until: number | null;
    arriving_by: string | null;
    /** The later of `expires_at` and `arriving_until`, for the index. */
    alive_until: number | null;
    /** From here to `blob_version`: null unless the row is received or stored. */
    size_bytes: number | null;
    sha256: string | null;
    content_type: string | null;
    facts: string | null;
    warnings: string | null;
    /** The ETag in the bucket; null on disk. */
    blob_version: string | null;
    /** Null unless the row is rejected, or stored and found damaged by a recheck. */
    problem: string | null;
  };
  /** The last recheck of a dataset: its files are inspected again, in the order of their ids. */
  recheck: {
    dataset_id: string;
    started_at: number;
    /** Stored files at the start. */
    total: number;
    checked: number;
    /** The id of the last file that was checked; empty at the start. */
    after_id: string;
    /** Null while it runs. */
    finished_at: number | null;
    lease_until: number | null;
    lease_token: string | null;
  };
  /** Blobs without a file, kept until `delete_after` for reads in flight. */
  trash: { blob_key: string; delete_after: number };
  setting: { name: string; value: string };
}

/** Runs in the order of the names. A migration that has been released never changes. */
export const MIGRATIONS: Record<string, Migration> = {
  '0001_initial': { up: createInitialTables },
  '0002_received': { up: addReceived },
  '0003_recheck': { up: addRecheck },
};

async function createInitialTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('account')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('token')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('account.id').onDelete('cascade'))
    .addColumn('digest', 'text', (c) => c.notNull().unique())
    .addColumn('hint', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('revoked_at', 'bigint')
    .execute();
  await db.schema
    .createTable('dataset')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('account.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('pending', 'bigint', (c) => c.notNull())
    .addColumn('pending_until', 'bigint')
    .addColumn('rejected', 'bigint', (c) => c.notNull())
    .addColumn('images', 'bigint', (c) => c.notNull())
    .addColumn('videos', 'bigint', (c) => c.notNull())
    .addColumn('captions', 'bigint', (c) => c.notNull())
    .addColumn('trainable', 'bigint', (c) => c.notNull())
    .addColumn('uncaptioned', 'bigint', (c) => c.notNull())
    .addColumn('collisions', 'bigint', (c) => c.notNull())
    .addColumn('bytes', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('dataset_name_unique', ['account_id', 'name'])
    .execute();
  await db.schema
    .createIndex('dataset_newest')
    .on('dataset')
    .columns(['account_id', 'created_at desc', 'id desc'])
    .execute();
  await db.schema
    .createTable('file')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addColumn('filename', 'text', (c) => c.notNull())
    .addColumn('stem', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('settled_at', 'bigint')
    .addColumn('via', 'text')
    .addColumn('promised_bytes', 'bigint')
    .addColumn('expires_at', 'bigint')
    .addColumn('arriving_until', 'bigint')
    .addColumn('arriving_by', 'text')
    .addColumn('alive_until', 'bigint')
    .addColumn('size_bytes', 'bigint')
    .addColumn('sha256', 'text')
    .addColumn('content_type', 'text')
    .addColumn('facts', 'text')
    .addColumn('warnings', 'text')
    .addColumn('blob_version', 'text')
    .addColumn('problem', 'text')
    .execute();
  await db.schema.createIndex('file_stem').on('file').columns(['dataset_id', 'stem']).execute();
  await db.schema
    .createIndex('file_one_settled')
    .unique()
    .on('file')
    .columns(['dataset_id', 'filename'])
    .where(sql.ref('state'), '<>', 'pending')
    .execute();
  await db.schema
    .createIndex('file_pending')
    .on('file')
    .columns(['dataset_id', 'alive_until'])
    .where(sql.ref('state'), '=', 'pending')
    .execute();
  await db.schema
    .createIndex('file_arriving')
    .on('file')
    .columns(['arriving_until'])
    .where(sql.ref('arriving_until'), 'is not', null)
    .execute();
  await db.schema
    .createIndex('file_awaited')
    .on('file')
    .columns(['expires_at', 'id'])
    .where(sql.ref('via'), '=', 'presigned')
    .execute();
  await db.schema
    .createTable('trash')
    .addColumn('blob_key', 'text', (c) => c.primaryKey())
    .addColumn('delete_after', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('trash_due').on('trash').columns(['delete_after']).execute();
  await db.schema
    .createTable('setting')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();
}

/** Received files: finalized names are unique without them, and the background check finds them by an index. */
async function addReceived(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('dataset')
    .addColumn('received', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.dropIndex('file_one_settled').execute();
  await db.schema
    .createIndex('file_one_settled')
    .unique()
    .on('file')
    .columns(['dataset_id', 'filename'])
    .where(sql.ref('state'), '<>', 'pending')
    .where(sql.ref('state'), '<>', 'received')
    .execute();
  await db.schema
    .createIndex('file_received')
    .on('file')
    .columns(['settled_at', 'id'])
    .where(sql.ref('state'), '=', 'received')
    .execute();
}

async function addRecheck(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('recheck')
    .addColumn('dataset_id', 'text', (c) => c.primaryKey().references('dataset.id').onDelete('cascade'))
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('total', 'bigint', (c) => c.notNull())
    .addColumn('checked', 'bigint', (c) => c.notNull())
    .addColumn('after_id', 'text', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .addColumn('lease_until', 'bigint')
    .addColumn('lease_token', 'text')
    .execute();
  await db.schema
    .createIndex('recheck_unfinished')
    .on('recheck')
    .columns(['started_at', 'dataset_id'])
    .where(sql.ref('finished_at'), 'is', null)
    .execute();
}
