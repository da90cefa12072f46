import { expect, test } from 'vitest';
import { FileRemovals } from '../../src/service/bulk.js';
import { DatasetService } from '../../src/service/datasets.js';
import type { ServiceDependencies } from '../../src/service/dependencies.js';
import { Quota } from '../../src/storage/limits.js';
import { Uploads } from '../../src/service/upload/uploads.js';
import { Accounts } from '../../src/storage/catalog/accounts.js';
import { type Database, query } from '../../src/storage/database/database.js';
import { laptop } from '../harness/author.js';
import { onCatalogs } from '../harness/backends.js';
import { imageNamed } from '../harness/stored-image.js';

onCatalogs((open) => {
  /** An account with a dataset, and what a service on it needs. */
  const openDataset = async () => {
    const opened = await open();
    let ids = 0;
    const rules = { captionGrace: 0, linkLifetime: 1000, maxLinkBytes: 1000 };
    const parts = { catalog: opened.catalog, blobs: {}, now: () => 1_000_000, rules, newId: () => `batch-${++ids}` };
    const key = { accountId: opened.accountId, id: 'd0' };
    await opened.catalog.createDataset({ ...key, name: 'd0', createdAt: 0 });
    return { ...opened, key, dependencies: parts as unknown as ServiceDependencies };
  };

  test('a list of many datasets, and one that looks for the few of a status', async () => {
    const DATASETS = 1600;
    const { accountId, database, dependencies } = await openDataset();
    const [template] = await database.run(query.selectFrom('dataset').selectAll());
    for (let from = 1; from < DATASETS; from += 333) {
      const numbers = Array.from({ length: Math.min(333, DATASETS - from) }, (_, i) => from + i);
      const rows = numbers.map((i) => ({ ...template!, id: `d${i}`, name: `d${i}`, created_at: i }));
      await database.run(query.insertInto('dataset').values(rows));
    }
    const datasets = new DatasetService(dependencies);
    const ids = async (filter: object) =>
      (await datasets.list({ accountId, ...filter })).map(({ dataset }) => dataset.id);
    const all = Array.from({ length: DATASETS }, (_, i) => `d${DATASETS - 1 - i}`);
    expect(await ids({})).toEqual(all);
    expect(await ids({ status: 'READY', limit: 2 })).toEqual([]);
    expect(await ids({ status: 'DRAFT', limit: 2 })).toEqual(all.slice(0, 2));
    expect(await ids({ after: { createdAt: 700, id: 'd700' }, limit: 600 })).toEqual(all.slice(-700, -100));
  });

  test('there are 200 groups at most, and a rejected change writes nothing', async () => {
    const { catalog, key } = await openDataset();
    const filenames = Array.from({ length: 201 }, (_, i) => `${i}.jpg`);
    const change = { datasetId: key.id, filenames, now: 1, isActivity: true };
    await catalog.change(change, (_, stem) => [{ ...imageNamed(stem), datasetId: key.id }]);
    const save = (name: string, added: string) => catalog.groups.save(key, { name, add: [added], remove: [] }, 9);
    for (const name of filenames.slice(0, 200)) await save(name, name);
    await expect(save('one more', '200.jpg')).rejects.toMatchObject({ code: 'invalid_field' });
    expect((await catalog.storedFile({ datasetId: key.id, filename: '200.jpg' }))?.group).toBeUndefined();
    // An existing one takes it.
    expect(await save('0.jpg', '200.jpg')).toMatchObject({ files: 2 });
  });

  test('many files are removed as one revision, each if its condition is met', async () => {
    const { catalog, key, dependencies } = await openDataset();
    const filenames = Array.from({ length: 220 }, (_, i) => `${i}.jpg`);
    const change = { datasetId: key.id, filenames, now: 1, isActivity: true, author: laptop };
    await catalog.change(change, (_, stem) => [{ ...imageNamed(stem), datasetId: key.id }]);
    const removed = await new FileRemovals(dependencies).files(key, [...filenames, 'missing.jpg'].reverse(), {
      author: { ...laptop, how: 'delete' },
      conditions: new Map([['7.jpg', { ifNoneMatch: '*' }]]),
    });
    expect(removed.revision).toBe(2);
    expect(removed.files.map(({ filename }) => filename)).toEqual([...filenames, 'missing.jpg'].reverse());
    const left = removed.files.filter(({ outcome }) => outcome !== 'removed');
    expect(left.map(({ filename, outcome }) => `${filename} ${outcome}`)).toEqual([
      'missing.jpg missing',
      '7.jpg conflict',
    ]);
  });

  test('the largest batch of links is reserved at once, and one with a file too many not at all', async () => {
    const { catalog, key, dependencies } = await openDataset();
    const uploads = new Uploads(dependencies, new Quota({ ofAccount: 1, what: 'uploads' }));
    const sizesOf = (count: number) => new Map(Array.from({ length: count }, (_, i) => [`${i}.jpg`, 10]));
    const pending = async () => (await catalog.dataset(key))?.counts.pending;
    const tooMany = uploads.reserve(key, sizesOf(20_001), { author: laptop });
    await expect(tooMany).rejects.toMatchObject({ code: 'too_large' });
    expect(await pending()).toBe(0);
    const files = await uploads.reserve(key, sizesOf(20_000), { author: laptop });
    expect([files.size, await pending()]).toEqual([20_000, 20_000]);
  });

  test('the last uses of many tokens are written together, the latest of all; after a failure they are kept', async () => {
    const { database, accounts: others } = await open();
    const { id } = await others.createToken('yard', 1);
    let isAway = true;
    const transact: Database['transact'] = (options, work) =>
      isAway ? Promise.reject(new Error('the database is away')) : database.transact(options, work);
    const accounts = new Accounts({ ...database, transact });
    for (let i = 0; i < 1200; i++) accounts.markUsed(`unknown-${i}`, 5);
    accounts.markUsed(id, 5);
    await expect(accounts.saveLastUses()).rejects.toThrow('away');
    isAway = false;
    const saving = accounts.saveLastUses();
    accounts.markUsed(id, 7);
    await saving;
    // Of another process.
    others.markUsed(id, 6);
    for (const each of [accounts, others]) await each.saveLastUses();
    expect((await accounts.tokens('yard')).map(({ lastUsedAt }) => lastUsedAt)).toEqual([7]);
  });
});
