import { expect, onTestFinished, test } from 'vitest';
import { microsClock } from '../../src/clock.js';
import { MICROS_PER_SECOND } from '../../src/dataset/dataset.js';
import { reserve } from '../../src/dataset/upload-transitions.js';
import { type AccountEvent, AccountWatches, watchAccount, watchDataset } from '../../src/service/watch.js';
import { Catalog } from '../../src/storage/catalog/catalog.js';
import { ChangeFeed } from '../../src/storage/database/database.js';
import { onCatalogs } from '../harness/backends.js';
import { at, linkNamed } from '../harness/stored-image.js';

const clock = microsClock();
const OPEN = { type: 'open' };

onCatalogs((open) => {
  let ids = 0;
  const newId = () => `id-${++ids}`;

  const opened = async () => {
    const { accounts, accountId, database } = await open();
    const changes = new ChangeFeed();
    const catalog = new Catalog(database, { blobGrace: 0, changeFeed: changes });
    let ahead = 0;
    const dependencies = { catalog, rules: { captionGrace: 0 }, now: () => clock() + ahead };
    const watches = new AccountWatches(dependencies);
    const streamOf = (events: (signal: AbortSignal) => AsyncIterator<AccountEvent>) => {
      const ending = new AbortController();
      onTestFinished(() => ending.abort());
      const stream = events(ending.signal);
      const next = async (): Promise<AccountEvent | undefined> => (await stream.next()).value;
      return { next, end: () => ending.abort() };
    };
    return {
      ...{ accounts, accountId, catalog, changes, dependencies },
      create: async (name: string, owner = accountId) =>
        (await catalog.createDataset({ id: newId(), accountId: owner, name, createdAt: clock() })).id,
      /** Reserves an upload that expires after this time. */
      add: (datasetId: string, filename: string, seconds = 60) => {
        const now = clock();
        const file = linkNamed(datasetId, filename, now + seconds * MICROS_PER_SECOND);
        return catalog.change(at(datasetId, filename, now), (group) => reserve(group, file));
      },
      advance: (seconds: number) => {
        ahead += seconds * MICROS_PER_SECOND;
      },
      /** The events of the account. */
      watch: () => streamOf((signal) => watchAccount(dependencies, accountId, signal)),
      /** The same, for one of many clients. */
      follow: () => streamOf((signal) => watches.follow(accountId, signal)),
    };
  };
  const named = (name: string) => ({ type: 'dataset', summary: { dataset: { name } } });

  test('many changes in quick succession are reported as one, with the latest state', async () => {
    const { add, create, watch } = await opened();
    const before = await create('before');
    const { next } = watch();
    expect(await next()).toEqual(OPEN);
    const after = await create('after');
    for (let i = 0; i < 20; i++) await add(before, `${i}.txt`);
    expect([await next(), await next()]).toMatchObject([
      { summary: { dataset: { id: after }, status: 'DRAFT' } },
      { summary: { dataset: { id: before, counts: { pending: 20 } }, status: 'UPLOADING' } },
    ]);
    await add(after, 'a.txt');
    expect(await next()).toMatchObject({ summary: { dataset: { id: after, counts: { pending: 1 } } } });
  });

  test('datasets of other accounts are not reported, and deletions are', async () => {
    const { accountId, accounts, catalog, add, create, watch } = await opened();
    const stranger = (await accounts.grantOf((await accounts.createToken('stranger', 1)).token))!.accountId;
    const theirs = await create('theirs', stranger);
    const mine = await create('mine');
    const { next } = watch();
    expect(await next()).toEqual(OPEN);
    const brief = await create('brief');
    for (const name of ['a.txt', 'b.txt']) await add(theirs, name);
    await catalog.deleteDataset({ accountId, id: brief }, clock());
    await catalog.deleteDataset({ accountId: stranger, id: theirs }, clock());
    await catalog.deleteDataset({ accountId, id: mine }, clock());
    // A dataset created and deleted between two rounds is not reported.
    expect(await next()).toEqual({ type: 'deleted', id: mine });
  });

  test('changes that only time causes are reported, for uploads reserved before and after connecting', async () => {
    const { add, advance, create, watch } = await opened();
    const [early, late] = [await create('early'), await create('late')];
    await add(early, 'a.txt', 60);
    const { next } = watch();
    expect(await next()).toEqual(OPEN);
    advance(59.5);
    expect(await next()).toMatchObject({ summary: { dataset: { id: early }, status: 'FAILED' } });
    await add(late, 'a.txt', 120);
    expect(await next()).toMatchObject({ summary: { dataset: { id: late }, status: 'UPLOADING' } });
    advance(60);
    expect(await next()).toMatchObject({ summary: { dataset: { id: late }, status: 'FAILED' } });
  });

  test('all streams of an account have the changes after they began, and end when notifications may be lost', async () => {
    const { changes, create, follow } = await opened();
    const empty = follow();
    expect(await empty.next()).toEqual(OPEN);
    const ended = empty.next();
    changes.announceGap();
    expect(await ended).toBeUndefined();
    await create('before');
    const streams = [follow(), follow()];
    for (const { next } of streams) expect(await next()).toEqual(OPEN);
    await create('first');
    for (const { next } of streams) expect(await next()).toMatchObject(named('first'));
    const late = follow();
    expect(await late.next()).toEqual(OPEN);
    streams.shift()?.end();
    streams.push(late);
    await create('second');
    for (const { next } of streams) expect(await next()).toMatchObject(named('second'));
    const ends = streams.map(({ next }) => next());
    changes.announceGap();
    expect(await Promise.all(ends)).toEqual([undefined, undefined]);
    const another = follow();
    expect(await another.next()).toEqual(OPEN);
    await create('after');
    expect(await another.next()).toMatchObject(named('after'));
  });

  test('after lost notifications a dataset is read again, also if they are lost while it is read first', async () => {
    const { accountId, changes, create, dependencies } = await opened();
    const id = await create('watched');
    const { signal } = new AbortController();
    const stream = watchDataset(dependencies, { accountId, id }, { signal });
    const first = stream.next();
    changes.announceGap();
    for (const next of [first, stream.next()]) {
      expect((await next).value).toMatchObject({ dataset: { id }, filenames: undefined });
    }
    await stream.return(undefined);
  });
});
