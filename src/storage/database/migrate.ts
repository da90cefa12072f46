import { type Kysely, type RawBuilder, type Transaction, sql } from 'kysely';
import { createTables, type Schema, TABLES } from './schema.js';

/** The version of trainyard that last changed the tables. A catalog has it in its table `schema_version`. */
const VERSION = '0.1.0';

/** The last migration before 0.1.0, which numbered them. */
const LAST_MIGRATION = '0024_background_work';

/** What a database must say for itself to be migrated. */
export interface MigrationDialect {
  /** Selects a row if a table exists. */
  readonly tableNamed: (name: string) => RawBuilder<unknown>;
  /** Makes other processes that migrate wait until the end of the transaction. */
  readonly begin: readonly RawBuilder<unknown>[];
}

/**
 * Creates the tables, or upgrades them, in one transaction. If several processes call it at once, one migrates and the others wait.
 *
 * @throws Error that completes "the catalog can't be used: "
 */
export async function migrateSchema(query: Kysely<Schema>, dialect: MigrationDialect): Promise<void> {
  if ((await greatestIn(query, dialect, VERSIONS)) === VERSION) return;
  await query.transaction().execute(async (transaction) => {
    for (const statement of dialect.begin) await statement.execute(transaction);
    // After the lock: another process may have upgraded the tables, and dropped the old ones.
    const version =
      (await greatestIn(transaction, dialect, VERSIONS)) ?? (await greatestIn(transaction, dialect, MIGRATIONS));
    if (version === VERSION) return;
    if (version !== undefined && version !== LAST_MIGRATION) throw new Error(whyNotFrom(version));
    await (version === undefined ? createTables(transaction) : upgradeNumbered(transaction));
    await sql`create table schema_version (version text not null)`.execute(transaction);
    await sql`insert into schema_version (version) values (${VERSION})`.execute(transaction);
  });
}

/** Where a catalog has its version, and where it had its migrations before 0.1.0. */
const VERSIONS = { table: 'schema_version', column: 'version' };
const MIGRATIONS = { table: 'kysely_migration', column: 'name' };

/** The greatest value of a column; `undefined` if the table is missing or empty. */
async function greatestIn(
  query: Kysely<Schema>,
  { tableNamed }: MigrationDialect,
  { table, column }: { table: string; column: string },
): Promise<string | undefined> {
  if ((await tableNamed(table).execute(query)).rows.length === 0) return undefined;
  const select = sql<{ value: string | null }>`select max(${sql.ref(column)}) as value from ${sql.table(table)}`;
  return (await select.execute(query)).rows[0]?.value ?? undefined;
}

function whyNotFrom(version: string): string {
  if (/^\d{4}_/.test(version) && version < LAST_MIGRATION) {
    return `it is older than the last version before ${VERSION}. Open it with that version first (commit d5cf4be), then with this one.`;
  }
  return `it was changed by a newer version of trainyard (${version}). Run that version or a later one, or restore a backup of this version.`;
}

/** Columns that had other names, and one for several times, before 0.1.0. */
const COLUMNS_BEFORE: Partial<Record<keyof Schema, Record<string, string>>> = {
  file: {
    expected_bytes: 'promised_bytes',
    condition: 'write_condition',
    lease_until: 'arriving_until',
    lease_token: 'arriving_by',
    live_until: 'alive_until',
    received_at: "case when state = 'received' then settled_at end",
    finalized_at: "case when state in ('stored', 'rejected') then settled_at end",
  },
  past_file: { finalized_at: 'settled_at' },
  // Both are computed together when they are needed.
  revision: { digest: 'null', ready_as: 'null' },
};

/** Rows that are not copied: pending uploads that others had replaced. */
const ROWS_BEFORE: Partial<Record<keyof Schema, string>> = {
  file: "where state <> 'pending' or alive_until is not null",
};

/** Copies the rows of the last numbered migration into new tables, so that they have the columns and indexes of `TABLES`. */
async function upgradeNumbered(transaction: Transaction<Schema>): Promise<void> {
  const names = Object.keys(TABLES) as (keyof Schema)[];
  for (const name of names) await sql.raw(`create table before_${name} as select * from ${name}`).execute(transaction);
  // Tables before those that they reference.
  for (const name of names.toReversed()) await sql.raw(`drop table ${name}`).execute(transaction);
  await createTables(transaction);
  for (const name of names) {
    const columns = Object.keys(TABLES[name].columns);
    const values = columns.map((column) => COLUMNS_BEFORE[name]?.[column] ?? column);
    const select = `select ${values.join(', ')} from before_${name} ${ROWS_BEFORE[name] ?? ''}`;
    await sql.raw(`insert into ${name} (${columns.join(', ')}) ${select}`).execute(transaction);
    await sql.raw(`drop table before_${name}`).execute(transaction);
  }
  for (const name of ['kysely_migration', 'kysely_migration_lock']) {
    await sql.raw(`drop table ${name}`).execute(transaction);
  }
}
