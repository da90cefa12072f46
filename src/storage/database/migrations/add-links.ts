import type { Kysely } from 'kysely';

/** The tables of links between datasets, a part of `Schema`. */
export interface LinkTables {
  /** A training dataset and one of its control or mask datasets, of the same account. */
  link: {
    dataset_id: string;
    /** A `LinkSlot`. */
    slot: string;
    linked_id: string;
  };
}

/** Roles of datasets, and links of training datasets to their controls and masks. */
export async function addLinks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('dataset')
    .addColumn('role', 'text', (c) => c.notNull().defaultTo('training'))
    .execute();
  for (const column of ['unpaired', 'linked']) {
    await db.schema
      .alterTable('dataset')
      .addColumn(column, 'bigint', (c) => c.notNull().defaultTo(0))
      .execute();
  }
  await db.schema
    .createTable('link')
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addColumn('slot', 'text', (c) => c.notNull())
    .addColumn('linked_id', 'text', (c) => c.notNull().references('dataset.id'))
    .addPrimaryKeyConstraint('link_key', ['dataset_id', 'slot'])
    .execute();
  await db.schema.createIndex('link_linked').on('link').columns(['linked_id', 'dataset_id']).unique().execute();
}
