import { type Kysely, sql } from 'kysely';

/** Indexes of files that may be few in a large dataset: damaged ones, those of a kind, and those that are not stored. */
export async function addFileIndexes(db: Kysely<unknown>): Promise<void> {
  const isStored = sql<boolean>`state = 'stored'`;
  const indexes = [
    {
      name: 'file_damaged',
      columns: ['dataset_id', 'filename'],
      where: sql<boolean>`${isStored} and problem is not null`,
    },
    { name: 'file_kind', columns: ['dataset_id', 'kind', 'filename'], where: isStored },
    { name: 'file_not_stored', columns: ['dataset_id'], where: sql<boolean>`state <> 'stored'` },
  ];
  for (const { name, columns, where } of indexes) {
    await db.schema.createIndex(name).on('file').columns(columns).where(where).execute();
  }
}

/** Indexes of files that are read in the background: by polls every two seconds, and by rechecks, in pages. */
export async function indexBackgroundReads(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createIndex('file_replaced')
    .on('file')
    .columns(['settled_at'])
    .where(sql<boolean>`state = 'pending' and via = 'presigned' and settled_at is not null`)
    .execute();
  // The time is in it for the start of a recheck, which then reads no rows. It is in the condition, which holds for every stored
  // file, so that SQLite takes the index for statements alone that name it: to read all files of a dataset in its order is slower.
  await db.schema
    .createIndex('file_stored')
    .on('file')
    .columns(['dataset_id', 'id', 'settled_at'])
    .where(sql<boolean>`state = 'stored' and settled_at is not null`)
    .execute();
}

/** Received files are checked in turns, one account after the other: they are found by account and dataset. */
export async function indexReceived(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createIndex('dataset_received')
    .on('dataset')
    .columns(['account_id', 'id'])
    .where(sql<boolean>`received > 0`)
    .execute();
  await db.schema.dropIndex('file_received').execute();
  await db.schema
    .createIndex('file_received')
    .on('file')
    .columns(['dataset_id', 'settled_at', 'id'])
    .where(sql<boolean>`state = 'received'`)
    .execute();
}
