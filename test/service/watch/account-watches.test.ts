import { expect, onTestFinished, test } from 'vitest';
import { microsClock } from '../../../src/clock.js';
import { type AccountEvent, AccountWatches } from '../../../src/service/watch/watch-account.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { ChangeFeed } from '../../../src/storage/database/change-feed.js';
import { catalogs, onEach } from '../../harness/backends.js';

const now = microsClock();
const rules = { captionGrace: 0 };

/** Counts the datasets that are read. */
class CountingCatalog extends Catalog {
  rows = 0;
  /** Called before each read. */
  beforeRead = async () => {};

  override async datasets(filter: Parameters<Catalog['datasets']>[0]) {
    await this.beforeRead();
    const found = await super.datasets(filter);
    this.rows += found.length;
    return found;
  }
}

onEach(catalogs, (open) => {
  let ids = 0;
  const opened = async () => {
    const { accountId, database } = await open();
    const changes = new ChangeFeed();
    const catalog = new CountingCatalog(database, { blobGrace: 0, changeFeed: changes });
    const watches = new AccountWatches({ catalog, rules, now });
    const create = async (name: string) => {
      const { id } = await catalog.createDataset({ id: `id-${++ids}`, accountId, name, createdAt: now() });
      return id;
    };
    const rename = (id: string, name: string) =>
      catalog.changeDataset({ accountId, id, boundIds: null }, { name }, now());
    /** Without an announcement. */
    const createMany = async (count: number) => {
      const { query } = database;
      await create('template');
      const template = await query.selectFrom('dataset').selectAll().executeTakeFirstOrThrow();
      const names = Array.from({ length: count }, () => `id-${++ids}`);
      for (let from = 0; from < count; from += 333) {
        const rows = names.slice(from, from + 333).map((id) => ({ ...template, id, name: id }));
        await query.insertInto('dataset').values(rows).execute();
      }
      return names;
    };
    const follow = () => {
      const ending = new AbortController();
      const events = watches.follow(accountId, ending.signal);
      onTestFinished(() => ending.abort());
      const next = async (): Promise<AccountEvent | undefined> => (await events.next()).value;
      return { next, end: () => ending.abort() };
    };
    return { catalog, changes, create, createMany, rename, follow };
  };
  const named = (name: string) => ({ type: 'dataset', summary: { dataset: { name } } });

  test('the streams of an account read each dataset once, and all have the changes after they began', async () => {
    const { catalog, create, follow } = await opened();
    for (let i = 0; i < 10; i++) await create(`before-${i}`);
    const streams = [follow(), follow(), follow()];
    const open = { type: 'open' };
    expect(await Promise.all(streams.map(({ next }) => next()))).toEqual([open, open, open]);
    expect(catalog.rows).toBe(10);
    await create('first');
    for (const { next } of streams) expect(await next()).toMatchObject(named('first'));
    streams.push(follow());
    expect(await streams.at(-1)?.next()).toEqual(open);
    streams.shift()?.end();
    await create('second');
    for (const { next } of streams) expect(await next()).toMatchObject(named('second'));
    expect(catalog.rows).toBe(12);
  });

  test('a stream has a change that was reversed before it was read, since its client may have seen it', async () => {
    const { catalog, create, rename, follow } = await opened();
    const id = await create('one');
    const early = follow();
    expect(await early.next()).toEqual({ type: 'open' });
    const change = early.next();
    const late = follow();
    catalog.beforeRead = async () => {
      catalog.beforeRead = async () => {};
      expect(await late.next()).toEqual({ type: 'open' });
      await rename(id, 'one');
    };
    await rename(id, 'another');
    expect(await change).toMatchObject(named('one'));
    expect(await late.next()).toMatchObject(named('one'));
  });

  test('a stream that is far behind ends, and the others go on', async () => {
    const { changes, createMany, follow } = await opened();
    const [fast, slow] = [follow(), follow()];
    for (const { next } of [fast, slow]) expect(await next()).toEqual({ type: 'open' });
    const made = await createMany(1001);
    expect(await fast.next()).toMatchObject(named('template'));
    for (const datasetId of made) changes.announce({ datasetId });
    for (const id of made) expect(await fast.next()).toMatchObject({ summary: { dataset: { id } } });
    let waiting = 0;
    while ((await slow.next()) !== undefined) waiting++;
    expect(waiting).toBeLessThanOrEqual(1001);
  });

  test('all streams end when notifications may be lost, and a new one begins anew', async () => {
    const { changes, create, follow } = await opened();
    const streams = [follow(), follow()];
    for (const { next } of streams) expect(await next()).toEqual({ type: 'open' });
    const ends = streams.map(({ next }) => next());
    changes.announceGap();
    expect(await Promise.all(ends)).toEqual([undefined, undefined]);
    const another = follow();
    expect(await another.next()).toEqual({ type: 'open' });
    await create('after');
    expect(await another.next()).toMatchObject(named('after'));
  });
});
