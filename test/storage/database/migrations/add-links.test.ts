import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { datasetStatusOf } from '../../../../src/dataset/pairs/linked-status.js';
import { Accounts } from '../../../../src/storage/catalog/accounts/accounts.js';
import { Catalog } from '../../../../src/storage/catalog/catalog.js';
import { wrongCountsOf } from '../../../harness/check-counts.js';
import type { Database } from '../../../../src/storage/database/database.js';
import { openPostgres } from '../../../../src/storage/database/postgres.js';
import { MIGRATIONS, type Schema } from '../../../../src/storage/database/schema.js';
import { openSqlite } from '../../../../src/storage/database/sqlite.js';
import { whyNoPostgres } from '../../../harness/available.js';
import { type Backend, onEach } from '../../../harness/backends.js';
import { databaseForTest } from '../../../harness/postgres.js';
import { temporaryFolder } from '../../../harness/server.js';
import { EARLIER, FILLING, NOW, SECRETS } from './catalog-without-links.js';

/** Opens one database, as often as it is called. */
type Open = () => Promise<Database>;

const databases: readonly Backend<Open>[] = [
  {
    name: 'SQLite',
    open: async () => {
      const folder = await temporaryFolder();
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      return () => openSqlite(join(folder, 'catalog.sqlite'));
    },
  },
  {
    name: 'Postgres',
    leftOut: whyNoPostgres(),
    open: async () => {
      const url = await databaseForTest();
      return () => openPostgres(url);
    },
  },
];

const UNFINISHED_RECHECK = { dataset_id: 'railway', started_at: EARLIER, total: 4, checked_at: null };

const TABLES = Object.keys(FILLING) as (keyof typeof FILLING)[];
/** Tables of that version that are gone by now. */
const GONE = ['announcement'];
type Table = keyof Schema;
type Row = Record<string, unknown>;

/** Opens a database as the version before the links did. */
async function openBefore(open: Open): Promise<Database> {
  const later = Object.entries(MIGRATIONS).filter(([name]) => name >= '0010_links');
  for (const [name] of later) delete MIGRATIONS[name];
  try {
    return await open();
  } finally {
    for (const [name, migration] of later) MIGRATIONS[name] = migration;
  }
}

/** All rows of a table, in an order of its own. */
async function rowsOf({ query }: Database, table: Table): Promise<Row[]> {
  const rows: Row[] = await query.selectFrom(table).selectAll().execute();
  const textOf = (row: Row) => JSON.stringify(Object.entries(row).sort());
  return rows.sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
}

onEach(databases, (openDatabase) => {
  /** A filled database of the version before, and what its tables had. */
  const fill = async () => {
    const open = await openDatabase();
    const before = await openBefore(open);
    const tables = new Map<Table, Row[]>();
    try {
      for (const name of TABLES) {
        // The types are those of today's tables.
        const table = name as Table;
        await before.query
          .insertInto(table)
          .values(FILLING[name] as never[])
          .execute();
        if (!GONE.includes(name)) tables.set(table, await rowsOf(before, table));
      }
    } finally {
      await before.close();
    }
    return { open, tables };
  };
  const openAfter = async (open: Open) => {
    const database = await open();
    onTestFinished(() => database.close());
    return { database, catalog: new Catalog(database, { blobGrace: 1000 }) };
  };

  test('every table keeps its rows, and every dataset becomes one for training, without links', async () => {
    const { open, tables } = await fill();
    const { database } = await openAfter(open);
    for (const [table, rows] of tables) {
      const added =
        table === 'dataset' ? { role: 'training', unpaired: 0, linked: 0, version: 0, readiness_version: 0 } : {};
      const changed = rows.map(({ lease_until, lease_token, ...row }) => ({
        ...{ ...row, ...added },
        ...(table === 'dataset' && { announced: row.id === 'railway' ? `READY ${'d2'.repeat(32)}` : null }),
        // Its job has the lease now.
        ...(row.state === 'received' && { arriving_until: null, arriving_by: null }),
      }));
      const expected: object[] = table === 'recheck' ? [UNFINISHED_RECHECK] : changed;
      expect(expected.length, table).toBeGreaterThan(0);
      const found = await rowsOf(database, table);
      expect(found, table).toHaveLength(expected.length);
      expect(found, table).toEqual(expect.arrayContaining(expected));
    }
    expect(await rowsOf(database, 'link')).toEqual([]);
    // The files that the recheck has left.
    const jobs = (await rowsOf(database, 'job')).filter(({ kind }) => kind === 'inspect-again');
    expect(jobs).toMatchObject(
      ['file-3', 'file-4'].map((id) => ({ kind: 'inspect-again', key: `railway/${id}`, account_id: 'studio' })),
    );
  });

  test('what was not announced or delivered yet has its job', async () => {
    const { open } = await fill();
    const { database } = await openAfter(open);
    const jobs = await database.query
      .selectFrom('job')
      .select(['kind', 'key', 'account_id', 'lease'])
      .where('kind', 'in', ['announce', 'deliver'])
      .execute();
    const job = { account_id: 'studio', lease: null };
    expect(jobs.sort((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual([
      // Of the others, nothing has changed since the webhook was added, or the last event.
      { ...job, kind: 'announce', key: 'empty' },
      { ...job, kind: 'deliver', key: 'hook' },
    ]);
  });

  test('datasets, files in all states, tokens and shares are as they were, and the counts are right', async () => {
    const { open } = await fill();
    const { database, catalog } = await openAfter(open);
    const rules = { captionGrace: 0 };
    const found = await catalog.datasets({ accountId: 'studio' });
    expect(found.map((dataset) => [dataset.name, datasetStatusOf(dataset, NOW, rules)])).toEqual([
      ['empty', 'DRAFT'],
      ['broken', 'FAILED'],
      ['arriving', 'UPLOADING'],
      ['railway', 'READY'],
    ]);
    for (const dataset of found) {
      expect(dataset).toMatchObject({ role: 'training', links: [], isLinkedTo: false, counts: { unpaired: 0 } });
      expect(await wrongCountsOf(database, dataset.id)).toEqual([]);
    }
    const statesOf = async (id: string) => {
      const contents = await catalog.contents({ accountId: 'studio', id });
      const states = contents?.files.map(({ filename, upload }) => {
        return `${filename} ${upload.state}${'problem' in upload ? ` ${upload.problem?.code}` : ''}`;
      });
      return states?.sort();
    };
    expect(await statesOf('railway')).toEqual(['a.jpg stored', 'a.txt stored', 'b.mp4 stored', 'b.txt stored']);
    expect(await statesOf('arriving')).toEqual([
      ...['c.jpg pending', 'd.jpg pending', 'e.jpg pending', 'f.mp4 received'],
    ]);
    expect(await statesOf('broken')).toEqual([
      'g.jpg rejected NOT_AN_IMAGE',
      'h.png stored IMAGE_CORRUPT',
      'h.txt stored',
    ]);
    const { revisions, files } = await catalog.revisions.range('railway', { from: 1, to: 2 });
    expect(revisions.map(({ number, digest, isReady }) => [number, digest, isReady])).toEqual([
      [2, 'd2'.repeat(32), true],
      [1, 'd1'.repeat(32), true],
    ]);
    expect(files.map(({ filename }) => filename).sort()).toEqual(['a.jpg', 'a.txt', 'a.txt', 'b.mp4', 'b.txt']);
    const accounts = new Accounts(database);
    const grantOf = async (secret: string) => {
      const grant = await accounts.grantOf(secret);
      return grant && [grant.kind, grant.accountName, grant.isReadOnly, grant.datasetIds];
    };
    expect(await grantOf(SECRETS.token)).toEqual(['token', 'the studio', false, null]);
    expect(await grantOf(SECRETS.share)).toEqual(['share', 'the studio', true, ['railway']]);
    expect(await grantOf(SECRETS.revoked)).toBeUndefined();
  });

  test('datasets can be linked, and their pairs are counted', async () => {
    const { open } = await fill();
    const { database, catalog } = await openAfter(open);
    await catalog.createDataset({ id: 'depth', accountId: 'studio', name: 'depth', role: 'control', createdAt: NOW });
    const key = { accountId: 'studio', id: 'railway' };
    await catalog.links.replace(key, { links: [{ slot: 'control_1', linkedId: 'depth' }], now: NOW });
    expect((await catalog.dataset(key))?.counts.unpaired).toBe(2);
    for (const id of ['railway', 'depth']) expect(await wrongCountsOf(database, id)).toEqual([]);
    await catalog.links.replace(key, { links: [], now: NOW });
    expect(await catalog.dataset(key)).toMatchObject({ links: [], counts: { unpaired: 0 } });
    expect(await catalog.deleteDataset(key, NOW)).toBe(true);
  });
});
