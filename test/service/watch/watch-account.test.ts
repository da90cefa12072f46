import { afterEach, expect, test } from 'vitest';
import { microsClock } from '../../../src/clock.js';
import { MICROS_PER_SECOND, type PendingFile } from '../../../src/dataset/dataset.js';
import { reserve } from '../../../src/dataset/upload-transitions.js';
import { type AccountEvent, watchAccount } from '../../../src/service/watch/watch-account.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { ChangeFeed } from '../../../src/storage/database/change-feed.js';
import { catalogs, onEach } from '../../harness/backends.js';

const now = microsClock();
const rules = { captionGrace: 0 };

let ids = 0;
const newId = () => `id-${++ids}`;

let hangUp = new AbortController();
afterEach(() => {
  hangUp.abort();
  hangUp = new AbortController();
});

function pendingUpload(datasetId: string, filename: string, seconds = 60): PendingFile {
  const at = now();
  const expiresAt = at + seconds * MICROS_PER_SECOND;
  const upload = { state: 'pending', via: 'link', expectedBytes: 5, expiresAt } as const;
  return {
    id: newId(),
    datasetId,
    filename,
    kind: 'caption',
    createdAt: at,
    upload: { ...upload, leaseUntil: null, leaseToken: null },
  };
}

onEach(catalogs, (open) => {
  const opened = async () => {
    const { accounts, accountId, database } = await open();
    const catalog = new Catalog(database, { blobGrace: 0, changeFeed: new ChangeFeed() });
    const create = (name: string, owner = accountId) =>
      catalog.createDataset({ id: newId(), accountId: owner, name, createdAt: now() });
    const change = (datasetId: string, filename: string) => ({
      datasetId,
      filenames: [filename],
      now: now(),
      isActivity: true,
    });
    const add = (file: PendingFile) =>
      catalog.change(change(file.datasetId, file.filename), (group) => reserve(group, file));
    let ahead = 0;
    const advance = (seconds: number) => {
      ahead += seconds * MICROS_PER_SECOND;
    };
    const events = watchAccount({ catalog, rules, now: () => now() + ahead }, accountId, hangUp.signal);
    const next = async (): Promise<AccountEvent | undefined> => (await events.next()).value;
    return { accounts, accountId, catalog, create, change, add, advance, next };
  };

  test('many changes in quick succession are reported as one, with the latest state', async () => {
    const { add, create, next } = await opened();
    const before = await create('before');
    expect(await next()).toEqual({ type: 'open' });
    const after = await create('after');
    for (let i = 0; i < 20; i++) await add(pendingUpload(before.id, `${i}.txt`));
    const reported = [await next(), await next()];
    expect(reported).toMatchObject([
      { summary: { dataset: { id: after.id }, status: 'DRAFT' } },
      { summary: { dataset: { id: before.id, counts: { pending: 20 } }, status: 'UPLOADING' } },
    ]);
    await add(pendingUpload(after.id, 'a.txt'));
    expect(await next()).toMatchObject({ summary: { dataset: { id: after.id, counts: { pending: 1 } } } });
  });

  test('datasets of other accounts are not reported, and deletions are', async () => {
    const { accountId, accounts, catalog, add, create, next } = await opened();
    const stranger = (await accounts.grantOf((await accounts.createToken('stranger', 1)).token))!.accountId;
    const theirs = await create('theirs', stranger);
    const mine = await create('mine');
    expect(await next()).toEqual({ type: 'open' });
    const brief = await create('brief');
    for (const name of ['a.txt', 'b.txt']) await add(pendingUpload(theirs.id, name));
    await catalog.deleteDataset({ accountId, id: brief.id }, now());
    await catalog.deleteDataset({ accountId: stranger, id: theirs.id }, now());
    await catalog.deleteDataset({ accountId, id: mine.id }, now());
    // A dataset created and deleted between two rounds is not reported.
    expect(await next()).toEqual({ type: 'deleted', id: mine.id });
  });

  test('changes that only time causes are reported, for uploads reserved before and after connecting', async () => {
    const { add, advance, create, next } = await opened();
    const [early, late] = [await create('early'), await create('late')];
    await add(pendingUpload(early.id, 'a.txt', 60));
    expect(await next()).toEqual({ type: 'open' });
    advance(59.5);
    expect(await next()).toMatchObject({ summary: { dataset: { id: early.id }, status: 'FAILED' } });
    await add(pendingUpload(late.id, 'a.txt', 120));
    expect(await next()).toMatchObject({ summary: { dataset: { id: late.id }, status: 'UPLOADING' } });
    advance(60);
    expect(await next()).toMatchObject({ summary: { dataset: { id: late.id }, status: 'FAILED' } });
  });
});
