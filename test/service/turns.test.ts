import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { DatasetService } from '../../src/service/datasets.js';
import type { ServiceDependencies } from '../../src/service/dependencies.js';
import { LargeWork } from '../../src/service/limits/large-work.js';
import { MountRoot } from '../../src/service/mount/mount-root.js';
import { watchAccount } from '../../src/service/watch/watch-account.js';
import { Accounts } from '../../src/storage/catalog/accounts/accounts.js';
import { Catalog } from '../../src/storage/catalog/catalog.js';
import { Retention } from '../../src/storage/catalog/history/retention.js';
import { trashDeleted } from '../../src/storage/catalog/long-changes/trash-deleted.js';
import type { Database } from '../../src/storage/database/database.js';
import { catalogs, onEach } from '../harness/backends.js';
import { eventually, temporaryFolder } from '../harness/server.js';
import { countTurns, PerTurn } from '../harness/turns.js';

/* SQLite answers on the thread that answers requests: work over many rows lets requests have a turn after some of them. */

const DATASETS = 1600;
const MAX_DATASETS_A_TURN = 500;
const MIN_TURNS_A_PIECE = 4;

/** Counts the datasets that are read in each turn of the event loop, and the reads. */
class ObservedCatalog extends Catalog {
  readonly rows = new PerTurn();
  readonly reads = new PerTurn();

  override async datasets(filter: Parameters<Catalog['datasets']>[0]) {
    const found = await super.datasets(filter);
    this.rows.add(found.length);
    this.reads.add();
    return found;
  }
}

/** A database that counts the transactions of each turn of the event loop, and how many of them are durable. */
function observed(database: Database) {
  const transactions = new PerTurn();
  const durable = new PerTurn();
  const counting: Database = {
    ...database,
    transact: (options, work) => {
      transactions.add();
      if (options.isDurable) durable.add();
      return database.transact(options, work);
    },
  };
  return { database: counting, transactions, durable };
}

onEach(catalogs, (open) => {
  /** An account with many DRAFT datasets, the newest first. */
  const openMany = async (count = DATASETS) => {
    const { accountId, database } = await open();
    const { query } = database;
    const catalog = new ObservedCatalog(database, { blobGrace: 0 });
    await catalog.createDataset({ id: 'd0', accountId, name: 'd0', createdAt: 0 });
    const template = await query.selectFrom('dataset').selectAll().executeTakeFirstOrThrow();
    const rows = Array.from({ length: count - 1 }, (_, i) => ({
      ...template,
      ...{ id: `d${i + 1}`, name: `d${i + 1}`, created_at: i + 1 },
    }));
    for (let from = 0; from < rows.length; from += 333) {
      await query
        .insertInto('dataset')
        .values(rows.slice(from, from + 333))
        .execute();
    }
    const rules = { captionGrace: 0 };
    const dependencies = { catalog, now: () => 1_000_000, rules, takeTurn: () => turn() };
    return { accountId, catalog, dependencies: dependencies as unknown as ServiceDependencies };
  };

  test('a list of many datasets, and one that looks for the few of a status', async () => {
    const { accountId, catalog, dependencies } = await openMany();
    const datasets = new DatasetService(dependencies);
    const list = async (query: object) => {
      await turn();
      return datasets.listed({ accountId, ...query }, async (found) => found);
    };
    const ids = async (query: object) => (await list(query)).map(({ dataset }) => dataset.id);
    const all = Array.from({ length: DATASETS }, (_, i) => `d${DATASETS - 1 - i}`);
    expect(await ids({})).toEqual(all);
    expect(await ids({ status: 'READY', limit: 2 })).toEqual([]);
    expect(await ids({ status: 'DRAFT', limit: 2 })).toEqual(all.slice(0, 2));
    const after = { createdAt: 700, id: 'd700' };
    expect(await ids({ after, limit: 600 })).toEqual(all.slice(-700, -100));
    expect(catalog.rows.max).toBeLessThanOrEqual(MAX_DATASETS_A_TURN);
    expect(catalog.reads.total).toBeLessThan(15);
  });

  test('of long lists, there is one at a time until its answer is made', async () => {
    const { accountId, dependencies } = await openMany();
    const { run: inPieces } = new LargeWork();
    const datasets = new DatasetService({ ...dependencies, inPieces });
    let made = 0;
    const list = (signal?: AbortSignal) =>
      datasets.listed({ accountId, signal }, async (found) => {
        expect(++made).toBe(1);
        await turn();
        made--;
        return found.length;
      });
    const leaving = new AbortController();
    const lists = [list(), list(leaving.signal), list()];
    leaving.abort(new Error('gone'));
    const results = await Promise.allSettled(lists);
    const whole = { status: 'fulfilled', value: DATASETS };
    expect(results).toEqual([whole, { status: 'rejected', reason: new Error('gone') }, whole]);
  });

  test('the beginning of a stream of all events', async () => {
    const { accountId, catalog, dependencies } = await openMany();
    const ending = new AbortController();
    const events = watchAccount(dependencies, accountId, ending.signal);
    expect((await events.next()).value).toEqual({ type: 'open' });
    ending.abort();
    await events.return(undefined);
    expect([catalog.rows.total, catalog.rows.max]).toEqual([DATASETS, MAX_DATASETS_A_TURN]);
  });

  test('a mount root with many datasets that are not READY', async () => {
    const { catalog, dependencies } = await openMany(250);
    const folder = await temporaryFolder();
    onTestFinished(() => rm(folder, { recursive: true }));
    const log = { info: () => {}, warn: () => {} };
    const mountRoot = new MountRoot(dependencies, { root: join(folder, 'root'), dataFolder: folder, log });
    mountRoot.start();
    await eventually(() => (catalog.reads.total > 250 ? true : undefined));
    await mountRoot.stop();
    expect(catalog.reads.max).toBeLessThanOrEqual(2);
    expect(catalog.rows.max).toBeLessThan(110);
  });

  test('the last uses of many tokens, which are not written one by one; after a failure they are kept', async () => {
    const { database, accounts: others } = await open();
    const { id } = await others.createToken('yard', 1);
    const { database: counting, transactions, durable } = observed(database);
    let isAway = false;
    const transact: Database['transact'] = (options, work) =>
      isAway ? Promise.reject(new Error('the database is away')) : counting.transact(options, work);
    const accounts = new Accounts({ ...counting, transact });
    for (let i = 0; i < 1200; i++) accounts.markUsed(`unknown-${i}`, 5);
    accounts.markUsed(id, 5);
    isAway = true;
    await expect(accounts.saveLastUses()).rejects.toThrow('away');
    isAway = false;
    await accounts.saveLastUses();
    expect((await accounts.tokens('yard')).map(({ lastUsedAt }) => lastUsedAt)).toEqual([5]);
    expect([transactions.total, durable.total, transactions.max]).toEqual([3, 0, 1]);
    await accounts.saveLastUses();
    expect(transactions.total).toBe(3);
  });

  test('the deletion of old revisions, and of the rows of deleted datasets', async () => {
    const { accountId, catalog, database } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    const { query } = database;
    // Past files of revisions that are no longer kept.
    const past = Array.from({ length: 1200 }, (_, i) => ({
      ...{ id: `f${i}`, dataset_id: 'd', filename: `${i}.txt`, kind: 'caption', created_at: 1, settled_at: 1 },
      ...{ size_bytes: 1, sha256: 'ab', content_type: 'text/plain', facts: '{}', warnings: '[]' },
      ...{ blob_version: null, problem: null, link_until: null, added_in: 1, removed_in: 2 },
    }));
    const addPast = async () => {
      for (let from = 0; from < past.length; from += 400) {
        await query
          .insertInto('past_file')
          .values(past.slice(from, from + 400))
          .execute();
      }
    };
    await addPast();
    await query.updateTable('dataset').set({ revision: 2, history_due: 0 }).where('id', '=', 'd').execute();
    const { database: counting, transactions } = observed(database);
    const rules = { count: 1, lifetime: 0 };
    await new Retention(counting, { rules, maxBytes: Number.MAX_SAFE_INTEGER, blobGrace: 0 }).run(10);
    expect(await query.selectFrom('past_file').select('id').execute()).toEqual([]);
    expect(transactions.total).toBeGreaterThan(3);
    expect(transactions.max).toBe(1);
    await addPast();
    const none = { token_id: null, token_name: null, change_id: null, restored_from: null, digest: null, ready: null };
    const revisions = Array.from({ length: 1200 }, (_, i) => ({
      ...{
        dataset_id: 'd',
        number: i + 10,
        started_at: 1,
        changed_at: 1,
        how: 'edit',
        added: 0,
        removed: 0,
        changed: 1,
      },
      ...{ files: 1, bytes: 1, pinned_at: null, pinned_by: null, pin_note: null, ...none },
    }));
    for (let from = 0; from < revisions.length; from += 400) {
      await query
        .insertInto('revision')
        .values(revisions.slice(from, from + 400))
        .execute();
    }
    await catalog.deleteDataset({ accountId, id: 'd' }, 20);
    const { database: trashing, transactions: pieces } = observed(database);
    await trashDeleted(trashing, { blobGrace: 0 });
    expect(await query.selectFrom('past_file').select('id').execute()).toEqual([]);
    expect(pieces.total).toBeGreaterThan(20);
    // With a pause, the loop turns many times between two pieces.
    expect(transactions.turns / transactions.total).toBeGreaterThan(MIN_TURNS_A_PIECE);
    expect(pieces.turns / pieces.total).toBeGreaterThan(MIN_TURNS_A_PIECE);
  });

  test('a search for many names, of which few are stored', async () => {
    const { accountId, catalog } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    const turns = countTurns();
    const before = turns.count;
    const filenames = Array.from({ length: 2000 }, (_, i) => `${i}.jpg`);
    expect(await catalog.storedFiles({ datasetId: 'd', filenames })).toEqual([]);
    expect(turns.count - before).toBeGreaterThan(2);
  });
});
