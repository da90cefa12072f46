import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { errorIn } from '../../../src/dataset/problems.js';
import { Rechecks } from '../../../src/storage/catalog/background/rechecks.js';
import { catalogs, onEach } from '../../harness/backends.js';

const PROBLEM = errorIn('b.txt', 'BYTES_LOST', 'gone');

onEach(catalogs, (open) => {
  /** A dataset of captions, stored at these times. */
  const openDataset = async (files: Readonly<Record<string, { at: number; isDamaged?: boolean }>>) => {
    const { catalog, accountId, database } = await open();
    const { id: datasetId } = await catalog.createDataset({ id: 'dataset', accountId, name: 'dogs', createdAt: 1 });
    const store = async (id: string, { at, isDamaged }: { at: number; isDamaged?: boolean }) => {
      const filename = `${id}.txt`;
      const upload: StoredFile['upload'] = {
        ...{ state: 'stored', sizeBytes: 1, sha256: 'ab', contentType: 'text/plain', warnings: [], blobVersion: null },
        ...{ facts: { kind: 'caption', characters: 1 }, finalizedAt: at, ...(isDamaged && { problem: PROBLEM }) },
      };
      const file: StoredFile = { id, datasetId, filename, kind: 'caption', createdAt: 1, upload };
      const change = { datasetId, filenames: [filename], now: at, isActivity: true };
      await catalog.change(change, (group) => [...group, file]);
    };
    for (const [id, file] of Object.entries(files)) await store(id, file);
    return { catalog, accountId, datasetId, store, rechecks: new Rechecks(database) };
  };

  test('a recheck lists the files that were stored before its start, in pages by id', async () => {
    const { rechecks, datasetId, store } = await openDataset({ c: { at: 10 }, a: { at: 20 }, b: { at: 30 } });
    await rechecks.start(datasetId, 30);
    await store('d', { at: 31 });
    const recheck = (await rechecks.of(datasetId))!;
    expect(recheck).toEqual({ datasetId, startedAt: 30, total: 3, checked: 0, afterId: '', finishedAt: null });
    const idsAfter = async (afterId: string, limit: number) =>
      (await rechecks.nextFiles({ ...recheck, afterId }, limit)).map(({ id }) => id);
    expect(await idsAfter('', 2)).toEqual(['a', 'b']);
    expect(await idsAfter('b', 2)).toEqual(['c']);
    expect(await idsAfter('c', 2)).toEqual([]);
  });

  test('is started once while it runs, and again after its end', async () => {
    const { rechecks, datasetId } = await openDataset({ a: { at: 1 } });
    const holder = { datasetId, token: 'me' };
    await rechecks.start(datasetId, 10);
    await rechecks.acquire(holder, { expiredBy: 10, until: 20 });
    await rechecks.save(holder, { checked: 1, afterId: 'a', leaseUntil: 30 });
    await rechecks.start(datasetId, 11);
    expect(await rechecks.of(datasetId)).toMatchObject({ startedAt: 10, checked: 1, afterId: 'a', finishedAt: null });
    expect(await rechecks.save(holder, { finishedAt: 12, leaseUntil: null })).toBe(true);
    expect(await rechecks.of(datasetId)).toMatchObject({ checked: 1, finishedAt: 12 });
    await rechecks.start(datasetId, 13);
    expect(await rechecks.of(datasetId)).toMatchObject({ startedAt: 13, checked: 0, afterId: '', finishedAt: null });
    await rechecks.start('no dataset', 13);
    expect(await rechecks.of('no dataset')).toBeUndefined();
  });

  test('has one holder, who changes nothing after the lease was taken over', async () => {
    const { rechecks, datasetId, accountId } = await openDataset({ a: { at: 1 } });
    const [one, two] = [
      { datasetId, token: 'one' },
      { datasetId, token: 'two' },
    ] as const;
    await rechecks.start(datasetId, 10);
    const unfinished = async (until: number) => rechecks.datasetsOfAccount({ accountId, until, limit: 5 });
    expect(await unfinished(0)).toEqual([datasetId]);
    expect(await rechecks.accounts(0)).toEqual([accountId]);
    expect(await rechecks.acquire(one, { expiredBy: 10, until: 20 })).toBeDefined();
    expect([await unfinished(19), await rechecks.accounts(19)]).toEqual([[], []]);
    expect(await rechecks.acquire(two, { expiredBy: 19, until: 40 })).toBeUndefined();
    expect(await unfinished(20)).toHaveLength(1);
    expect(await rechecks.acquire(two, { expiredBy: 20, until: 40 })).toBeDefined();
    expect(await rechecks.save(one, { checked: 9, finishedAt: 21, leaseUntil: null })).toBe(false);
    expect(await rechecks.of(datasetId)).toMatchObject({ checked: 0, finishedAt: null });
    expect(await rechecks.save(two, { leaseUntil: null })).toBe(true);
    expect(await unfinished(0)).toHaveLength(1);
  });

  test('lists stored files with a problem by name, and is deleted with its dataset', async () => {
    const files = { c: { at: 1 }, b: { at: 1, isDamaged: true }, a: { at: 1, isDamaged: true } };
    const { rechecks, datasetId, catalog, accountId } = await openDataset(files);
    expect((await rechecks.damagedFiles(datasetId, 9)).map(({ id }) => id)).toEqual(['a', 'b']);
    expect((await rechecks.damagedFiles(datasetId, 1)).map(({ upload }) => upload.problem)).toEqual([PROBLEM]);
    await rechecks.start(datasetId, 10);
    await catalog.deleteDataset({ accountId, id: datasetId }, 20);
    expect(await rechecks.of(datasetId)).toBeUndefined();
  });
});
