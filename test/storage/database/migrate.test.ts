import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import type { DatasetFile } from '../../../src/dataset/dataset.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { openPostgres } from '../../../src/storage/database/postgres.js';
import { type Schema, TABLES } from '../../../src/storage/database/schema.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { whyNoPostgres } from '../../harness/available.js';
import { type Backend, onEach } from '../../harness/backends.js';
import { databaseForTest, onDatabase } from '../../harness/postgres.js';
import { newRoot } from '../../harness/mounting.js';

type Row = Record<string, unknown>;

/** An empty database, before the service opens it. */
interface Unopened {
  /** Executes statements, and returns the rows of the last one. */
  readonly run: (statements: string) => Promise<Row[]>;
  readonly open: () => Promise<Database>;
  /** Describes all tables and indexes. */
  readonly schema: string;
}

const databases: readonly Backend<Unopened>[] = [
  {
    name: 'SQLite',
    open: async () => {
      const path = join(await newRoot(), 'catalog.sqlite');
      const run = async (statements: string) => {
        const db = new DatabaseSync(path);
        try {
          if (!statements.startsWith('select')) db.exec(statements);
          return statements.startsWith('select') ? (db.prepare(statements).all() as Row[]) : [];
        } finally {
          db.close();
        }
      };
      return { run, open: () => openSqlite(path), schema: 'select type, name, sql from sqlite_master order by name' };
    },
  },
  {
    name: 'Postgres',
    leftOut: whyNoPostgres(),
    open: async () => {
      const url = await databaseForTest();
      return {
        run: async (statements) => (await onDatabase(url, statements)).at(-1)?.rows ?? [],
        open: () => openPostgres(url),
        schema: `select table_name as place, ordinal_position::text as name, concat_ws(' ', column_name, data_type, is_nullable, column_default) as sql
          from information_schema.columns where table_schema = 'public'
          union all select tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
          union all select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
            where connamespace = 'public'::regnamespace and contype <> 'n'
          order by 1, 2, 3`,
      };
    },
  },
];

const BEFORE = await readFile(new URL('fixtures/before-0.1.0.sql', import.meta.url), 'utf8');
const FIRST = await readFile(new URL('fixtures/0.1.0.sql', import.meta.url), 'utf8');
const SECOND = FIRST + (await readFile(new URL('fixtures/0.2.0.sql', import.meta.url), 'utf8'));

/** Of 0.2.0 and later. */
const NEW_TABLES = ['perceptual_hash', 'different_files', 'caption_preset', 'caption_run', 'caption_proposal'];
const OLD_TABLES = Object.keys(TABLES).filter((table) => !NEW_TABLES.includes(table));

/** Rows without the column and the jobs of 0.2.0. */
function withoutNew(table: string, rows: readonly Row[]): Row[] {
  if (table === 'job') return rows.filter(({ kind }) => kind !== 'hash-images');
  return rows.map(({ thumbhash, group_name, file_groups, origin, ...row }) => row);
}

/** Rows as both drivers read them, sorted. */
function comparable(rows: readonly Row[]): string[] {
  const textOf = (row: Row) =>
    JSON.stringify(Object.entries(row).sort(), (_, value) => (/^\d+$/.test(value) ? Number(value) : value));
  return rows.map(textOf).sort();
}

async function openForTest({ open }: Unopened): Promise<Database> {
  const database = await open();
  onTestFinished(() => database.close());
  return database;
}

onEach(databases, (unopened) => {
  /** Opens a catalog that an earlier version has made: its tables become those of a new one. */
  const upgrade = async (made: string) => {
    const earlier = await unopened();
    await earlier.run(made);
    const before = new Map<string, Row[]>();
    for (const table of OLD_TABLES) before.set(table, await earlier.run(`select * from ${table}`));
    const database = await openForTest(earlier);
    const another = await unopened();
    await openForTest(another);
    expect(await earlier.run(earlier.schema)).toEqual(await another.run(another.schema));
    expect(await earlier.run('select version from schema_version')).toEqual([{ version: '0.3.0' }]);
    return { before, database, run: earlier.run, catalog: new Catalog(database, { blobGrace: 0 }) };
  };

  test('a catalog of the last version before 0.1.0 keeps its files in all their states', async () => {
    const { before, run, catalog } = await upgrade(BEFORE);
    for (const table of ['dataset', 'revision', 'past_file', 'token']) {
      const count = before.get(table)!.length;
      expect(count, table).toBeGreaterThan(0);
      expect(await run(`select * from ${table}`), table).toHaveLength(count);
    }
    const uploads: Record<string, DatasetFile['upload']> = {};
    for (const id of ['presigned-1', 'received-1', 'rejected-1']) uploads[id] = (await catalog.file(id))!.upload;
    expect(uploads).toMatchObject({
      'presigned-1': { expectedBytes: 5000, expiresAt: 900, leaseUntil: 950, leaseToken: 'lease-1' },
      'received-1': { receivedAt: 701 },
      'rejected-1': { finalizedAt: 702, problem: { code: 'CORRUPT' } },
    });
    const [dataset] = await catalog.datasets({ name: 'train' });
    expect(await catalog.storedFile({ datasetId: dataset!.id, filename: 'a.txt' })).toMatchObject({
      upload: { finalizedAt: 1796041894633000, addedIn: 2 },
    });
  });

  test('a catalog of 0.1.0 keeps its rows, and has a job for the images of each dataset', async () => {
    const { before, database, run, catalog } = await upgrade(FIRST);
    for (const [table, rows] of before) {
      const found = await database.run(sql<Row>`select * from ${sql.table(table as keyof Schema)}`);
      expect(comparable(withoutNew(table, found)), table).toEqual(comparable(rows));
    }
    const keys = await run("select key from job where kind = 'hash-images' order by key");
    expect(keys).toEqual(await run('select id as key from dataset where images > 0 order by id'));
    expect(keys).toHaveLength(2);
    const [dataset] = await catalog.datasets({ name: 'train' });
    const images = await catalog.hashes.missing(dataset!.id, { kinds: ['image'], limit: 10 });
    expect(images.map(({ filename }) => filename)).toEqual(['a.jpg', 'b.jpg']);
  });

  test('a catalog of 0.2.0 keeps its rows', async () => {
    const { run } = await upgrade(SECOND);
    expect(await run('select hash from perceptual_hash')).toEqual([{ hash: '0011' }]);
    expect(await run('select sha256 from different_files')).toEqual([{ sha256: 'ab' }]);
  });

  test('processes that open a new or an earlier catalog at once make it once', async () => {
    const [empty, earlier] = [await unopened(), await unopened()];
    await earlier.run(BEFORE);
    for (const each of [empty, earlier]) await Promise.all([1, 2, 3, 4].map(() => openForTest(each)));
    expect(await earlier.run('select count(*) as datasets from dataset')).toMatchObject([
      { datasets: expect.anything() },
    ]);
  });

  test.each([
    [
      'an older catalog',
      `${BEFORE}; delete from kysely_migration where name > '0023'`,
      /older than the last version before 0\.1\.0\. Open it with that version first \(commit d5cf4be\)/,
    ],
    ['an upgrade that fails', `${SECOND}; create table caption_run (id text)`, /caption_run"? already exists/],
  ])('%s is rejected with the reason, and the catalog stays as it is', async (_, statements, message) => {
    const earlier = await unopened();
    await earlier.run(statements);
    const schema = await earlier.run(earlier.schema);
    await expect(earlier.open()).rejects.toMatchObject({ isTemporary: false, message: expect.stringMatching(message) });
    expect(await earlier.run(earlier.schema)).toEqual(schema);
  });

  test('a catalog of a newer version is rejected', async () => {
    const newer = await unopened();
    await (await newer.open()).close();
    await newer.run("update schema_version set version = '0.4.0'");
    await expect(newer.open()).rejects.toMatchObject({
      isTemporary: false,
      message: expect.stringMatching(/changed by a newer version of trainyard \(0\.4\.0\)\. Run that version/),
    });
  });
});
