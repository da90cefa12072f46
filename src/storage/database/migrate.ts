import { type RawBuilder, sql } from 'kysely';
import type { Database } from './database.js';
import { createIndexes, createTable, createTables, type Schema, TABLES } from './schema.js';

/** The version that last changed the tables, in the table `schema_version`. */
const VERSION = '0.3.0';

const FIRST_VERSION = '0.1.0';

/** The last of the numbered migrations before 0.1.0. */
const LAST_MIGRATION = '0024_background_work';

export interface MigrationDialect {
  /** Selects a row if a table exists. */
  readonly tableNamed: (name: string) => RawBuilder<unknown>;
  /** Makes other migrating processes wait until the end of the transaction. */
  readonly begin: readonly RawBuilder<unknown>[];
}

/**
 * Creates or upgrades the tables in one transaction. Other processes wait.
 *
 * @throws Error that completes "the catalog can't be used: "
 */
export async function migrateSchema(
  { transact }: Pick<Database, 'transact'>,
  { tableNamed, begin }: MigrationDialect,
): Promise<void> {
  await transact({ isDurable: true, hasDeadline: false }, async ({ send, commit }) => {
    /** `undefined` if the table is missing or empty. */
    const greatestIn = async ({ table, column }: { table: string; column: string }): Promise<string | undefined> => {
      const [found] = await send([tableNamed(table)]);
      if (found.length === 0) return undefined;
      const [rows] = await send([
        sql<{ value: string | null }>`select max(${sql.ref(column)}) as value from ${sql.table(table)}`,
      ]);
      return rows[0]?.value ?? undefined;
    };
    // After the lock: another process may have upgraded the tables.
    await send(begin);
    const version = (await greatestIn(VERSIONS)) ?? (await greatestIn(MIGRATIONS));
    if (version === VERSION) {
      await commit(ERASE_LEFTOVERS);
      return;
    }
    const statements = [
      ...(version === undefined ? createTables() : upgradeFrom(version)),
      sql`create table if not exists schema_version (version text not null)`,
      sql`delete from schema_version`,
      sql`insert into schema_version (version) values (${sql.lit(VERSION)})`,
      ...ERASE_LEFTOVERS,
    ];
    await commit(statements);
  });
}

/** For datasets whose deletion an earlier version had begun: this account owned them until their files were gone. */
const LEFTOVERS = sql`select id from dataset where account_id = 'deleted'`;
const ERASE_LEFTOVERS: readonly RawBuilder<unknown>[] = [
  ...["file where state <> 'rejected' and", 'past_file where'].map(
    (files) => sql`
      insert into trash (blob_key, delete_after)
      select dataset_id || '/' || id, 0 from ${sql.raw(files)} dataset_id in (${LEFTOVERS}) on conflict (blob_key) do nothing`,
  ),
  sql`delete from dataset where account_id = 'deleted'`,
];

const VERSIONS = { table: 'schema_version', column: 'version' };
const MIGRATIONS = { table: 'kysely_migration', column: 'name' };

function whyNotFrom(version: string): string {
  if (/^\d{4}_/.test(version) && version < LAST_MIGRATION) {
    return `it is older than the last version before ${FIRST_VERSION}. Open it with that version first (commit d5cf4be), then with this one.`;
  }
  return `it was changed by a newer version of trainyard (${version}). Run that version or a later one, or restore a backup of this version.`;
}

/** What columns were called, or computed from, before 0.1.0. */
const COLUMNS_BEFORE: Partial<Record<keyof Schema, Record<string, string>>> = {
  file: {
    expected_bytes: 'promised_bytes',
    condition: 'write_condition',
    lease_until: 'arriving_until',
    lease_token: 'arriving_by',
    live_until: 'alive_until',
    thumbhash: 'null',
    group_name: 'null',
    origin: 'null',
    received_at: "case when state = 'received' then settled_at end",
    finalized_at: "case when state in ('stored', 'rejected') then settled_at end",
  },
  past_file: { finalized_at: 'settled_at', thumbhash: 'null', group_name: 'null', origin: 'null' },
  dataset: { file_groups: 'null' },
  // Computed together when they are needed.
  revision: { digest: 'null', ready_as: 'null' },
};

/** Pending uploads that others had replaced are not copied. */
const ROWS_BEFORE: Partial<Record<keyof Schema, string>> = {
  file: "where state <> 'pending' or alive_until is not null",
};

const CAPTION_TABLES = ['caption_preset', 'caption_run', 'caption_proposal'] as const;

/** Tables that 0.1.0 did not have. */
const NEW_TABLES: readonly (keyof Schema)[] = ['perceptual_hash', 'different_files', ...CAPTION_TABLES];

/** What each version added to the one before. */
const UPGRADES: readonly { readonly from: string; readonly statements: () => RawBuilder<unknown>[] }[] = [
  {
    from: FIRST_VERSION,
    statements: () => [
      ...['file', 'past_file'].map((name) => sql.raw(`alter table ${name} add column thumbhash text`)),
      createTable('perceptual_hash'),
      createTable('different_files'),
    ],
  },
  {
    from: '0.2.0',
    statements: () => [
      ...['file', 'past_file'].flatMap((name) =>
        ['group_name', 'origin'].map((column) => sql.raw(`alter table ${name} add column ${column} text`)),
      ),
      sql`alter table dataset add column file_groups text`,
      ...CAPTION_TABLES.map(createTable),
      ...CAPTION_TABLES.flatMap(createIndexes),
      HASH_MEDIA,
    ],
  },
];

/** @throws Error that completes "the catalog can't be used: " */
function upgradeFrom(version: string): RawBuilder<unknown>[] {
  if (version === LAST_MIGRATION) return [...upgradeNumbered(), HASH_MEDIA];
  const first = UPGRADES.findIndex(({ from }) => from === version);
  if (first === -1) throw new Error(whyNotFrom(version));
  return UPGRADES.slice(first).flatMap(({ statements }) => statements());
}

/** Enqueues the job of `perceptual-hashes.ts` for each dataset with images or clips. */
const HASH_MEDIA = sql`
  insert into job (kind, key, account_id, payload, due_at)
  select 'hash-images', id, account_id, '{}', updated_at from dataset where images + videos > 0
  on conflict do nothing`;

/** Copies the rows of the last numbered migration into new tables. */
function upgradeNumbered(): RawBuilder<unknown>[] {
  const all = Object.keys(TABLES) as (keyof Schema)[];
  const names = all.filter((name) => !NEW_TABLES.includes(name));
  const copies = names.flatMap((name) => {
    const columns = Object.keys(TABLES[name].columns);
    const values = columns.map((column) => COLUMNS_BEFORE[name]?.[column] ?? column);
    const select = `select ${values.join(', ')} from before_${name} ${ROWS_BEFORE[name] ?? ''}`;
    return [`insert into ${name} (${columns.join(', ')}) ${select}`, `drop table before_${name}`];
  });
  const drop = (name: string) => sql.raw(`drop table ${name}`);
  return [
    ...names.map((name) => sql.raw(`create table before_${name} as select * from ${name}`)),
    // Tables before those that they reference.
    ...names.toReversed().map(drop),
    ...createTables(),
    ...copies.map((text) => sql.raw(text)),
    ...['kysely_migration', 'kysely_migration_lock'].map(drop),
  ];
}
