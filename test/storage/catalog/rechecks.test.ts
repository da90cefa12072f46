import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { errorIn } from '../../../src/dataset/problems.js';
import { Jobs } from '../../../src/storage/catalog/jobs.js';
import { Rechecks } from '../../../src/storage/catalog/rechecks.js';
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
    return { catalog, accountId, datasetId, store, rechecks: new Rechecks(database), jobs: new Jobs(database) };
  };

  const keysOf = async (jobs: Jobs, accountId: string) => {
    const keys: string[] = [];
    for (;;) {
      const job = await jobs.claim({ kind: 'inspect-again', accountId }, { now: 100, until: 200, token: 'me' });
      if (job === undefined) return keys.sort();
      keys.push(job.key);
    }
  };

  test('a recheck has a job for each file that was stored at its start', async () => {
    const { rechecks, jobs, accountId, datasetId, store } = await openDataset({ c: { at: 10 }, a: { at: 20 } });
    await rechecks.start(datasetId, 30);
    await store('d', { at: 31 });
    const started = { datasetId, startedAt: 30, total: 2 };
    expect(await rechecks.of(datasetId)).toEqual({ ...started, remaining: 2, finishedAt: null });
    expect(await keysOf(jobs, accountId)).toEqual(['dataset/a', 'dataset/c']);
  });

  test('is started once while it runs, and again after its end', async () => {
    const { rechecks, jobs, accountId, datasetId } = await openDataset({ a: { at: 1 }, b: { at: 1 } });
    const finishOne = async (now: number) => {
      const job = await jobs.claim({ kind: 'inspect-again', accountId }, { now: 100, until: 200, token: 'me' });
      await rechecks.recordCheck(datasetId, now);
      await jobs.finish(job!, now);
    };
    await rechecks.start(datasetId, 10);
    await finishOne(11);
    await rechecks.start(datasetId, 12);
    expect(await rechecks.of(datasetId)).toMatchObject({ startedAt: 10, total: 2, remaining: 1, finishedAt: null });
    await finishOne(13);
    expect(await rechecks.of(datasetId)).toMatchObject({ startedAt: 10, total: 2, remaining: 0, finishedAt: 13 });
    await rechecks.start(datasetId, 14);
    expect(await rechecks.of(datasetId)).toMatchObject({ startedAt: 14, total: 2, remaining: 2, finishedAt: null });
    await rechecks.start('no dataset', 15);
    expect(await rechecks.of('no dataset')).toBeUndefined();
  });

  test('of an empty dataset is finished at once', async () => {
    const { rechecks, datasetId } = await openDataset({});
    await rechecks.start(datasetId, 10);
    expect(await rechecks.of(datasetId)).toMatchObject({ total: 0, remaining: 0, finishedAt: 10 });
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
