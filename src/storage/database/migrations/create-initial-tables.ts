import { type Kysely, sql } from 'kysely';

export async function createInitialTables(db: Kysely<unknown>): Promise<void> {
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
