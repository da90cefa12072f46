import { type Kysely, sql } from 'kysely';

/** The history of datasets. What a dataset has already is its first revision. */
export async function addHistory(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('token').addColumn('name', 'text').execute();
  await db.schema
    .alterTable('account')
    .addColumn('history_bytes', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
  for (const [table, column] of [
    ['dataset', 'revision'],
    ['file', 'added_in'],
  ] as const) {
    await db.schema
      .alterTable(table)
      .addColumn(column, 'bigint', (c) => c.notNull().defaultTo(0))
      .execute();
  }
  await db.schema.alterTable('file').addColumn('author', 'text').execute();
  await db.schema.alterTable('dataset').addColumn('revision_group', 'text').execute();
  await db.schema.alterTable('dataset').addColumn('revision_since', 'bigint').execute();
  await db.schema.alterTable('dataset').addColumn('history_due', 'bigint').execute();
  await db.schema
    .createIndex('dataset_history_due')
    .on('dataset')
    .columns(['history_due'])
    .where(sql.ref('history_due'), 'is not', null)
    .execute();
  await createPastFile(db);
  await createRevision(db);
  await sql`
    insert into revision (dataset_id, number, started_at, changed_at, how, added, removed, changed, files, bytes)
    select id, 1, updated_at, updated_at, 'import', images + videos + captions, 0, 0, images + videos + captions, bytes
    from dataset where images + videos + captions > 0
  `.execute(db);
  await sql`update dataset set revision = 1 where images + videos + captions > 0`.execute(db);
  await sql`update file set added_in = 1 where state = 'stored'`.execute(db);
}

async function createPastFile(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('past_file')
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addColumn('filename', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('settled_at', 'bigint', (c) => c.notNull())
    .addColumn('size_bytes', 'bigint', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('content_type', 'text', (c) => c.notNull())
    .addColumn('facts', 'text', (c) => c.notNull())
    .addColumn('warnings', 'text', (c) => c.notNull())
    .addColumn('blob_version', 'text')
    .addColumn('problem', 'text')
    .addColumn('link_until', 'bigint')
    .addColumn('added_in', 'bigint', (c) => c.notNull())
    .addColumn('removed_in', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('past_file_key', ['id', 'added_in'])
    .execute();
  await db.schema.createIndex('past_file_removed').on('past_file').columns(['dataset_id', 'removed_in']).execute();
  await db.schema.createIndex('past_file_name').on('past_file').columns(['dataset_id', 'filename']).execute();
}

async function createRevision(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('revision')
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addColumn('number', 'bigint', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('changed_at', 'bigint', (c) => c.notNull())
    .addColumn('token_id', 'text')
    .addColumn('token_name', 'text')
    .addColumn('how', 'text', (c) => c.notNull())
    .addColumn('added', 'bigint', (c) => c.notNull())
    .addColumn('removed', 'bigint', (c) => c.notNull())
    .addColumn('changed', 'bigint', (c) => c.notNull())
    .addColumn('files', 'bigint', (c) => c.notNull())
    .addColumn('bytes', 'bigint', (c) => c.notNull())
    .addColumn('change_id', 'text')
    .addColumn('restored_from', 'bigint')
    .addColumn('digest', 'text')
    .addColumn('ready', 'bigint')
    .addColumn('pinned_at', 'bigint')
    .addColumn('pinned_by', 'text')
    .addColumn('pin_note', 'text')
    .addPrimaryKeyConstraint('revision_key', ['dataset_id', 'number'])
    .execute();
}
