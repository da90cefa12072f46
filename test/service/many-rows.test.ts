import { expect, test } from 'vitest';
import { DatasetService } from '../../src/service/datasets.js';
import type { ServiceDependencies } from '../../src/service/dependencies.js';
import { Accounts } from '../../src/storage/catalog/accounts/accounts.js';
import type { Database } from '../../src/storage/database/database.js';
import { catalogs, onEach } from '../harness/backends.js';

const DATASETS = 1600;

onEach(catalogs, (open) => {
  /** An account with many DRAFT datasets, the newest first. */
  const openMany = async () => {
    const { accountId, catalog, database } = await open();
    const { query } = database;
    await catalog.createDataset({ id: 'd0', accountId, name: 'd0', createdAt: 0 });
    const template = await query.selectFrom('dataset').selectAll().executeTakeFirstOrThrow();
    const rows = Array.from({ length: DATASETS - 1 }, (_, i) => ({
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
    const dependencies = { catalog, now: () => 1_000_000, rules };
    return { accountId, datasets: new DatasetService(dependencies as unknown as ServiceDependencies) };
  };

  test('a list of many datasets, and one that looks for the few of a status', async () => {
    const { accountId, datasets } = await openMany();
    const ids = async (query: object) =>
      (await datasets.list({ accountId, ...query })).map(({ dataset }) => dataset.id);
    const all = Array.from({ length: DATASETS }, (_, i) => `d${DATASETS - 1 - i}`);
    expect(await ids({})).toEqual(all);
    expect(await ids({ status: 'READY', limit: 2 })).toEqual([]);
    expect(await ids({ status: 'DRAFT', limit: 2 })).toEqual(all.slice(0, 2));
    const after = { createdAt: 700, id: 'd700' };
    expect(await ids({ after, limit: 600 })).toEqual(all.slice(-700, -100));
    const leaving = new AbortController();
    const left = datasets.list({ accountId, signal: leaving.signal });
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
  });

  test('the last uses of many tokens, which are written together; after a failure they are kept', async () => {
    const { database, accounts: others } = await open();
    const { id } = await others.createToken('yard', 1);
    const durable: boolean[] = [];
    let isAway = false;
    const transact: Database['transact'] = (options, work) => {
      if (isAway) return Promise.reject(new Error('the database is away'));
      durable.push(options.isDurable);
      return database.transact(options, work);
    };
    const accounts = new Accounts({ ...database, transact });
    for (let i = 0; i < 1200; i++) accounts.markUsed(`unknown-${i}`, 5);
    accounts.markUsed(id, 5);
    isAway = true;
    await expect(accounts.saveLastUses()).rejects.toThrow('away');
    isAway = false;
    await accounts.saveLastUses();
    expect((await accounts.tokens('yard')).map(({ lastUsedAt }) => lastUsedAt)).toEqual([5]);
    expect(durable).toEqual([false]);
    await accounts.saveLastUses();
    expect(durable).toHaveLength(1);
  });
});
