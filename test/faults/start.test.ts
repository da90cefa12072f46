import { readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { Api } from '../harness/api.js';
import { whyNoPostgres } from '../harness/available.js';
import { databaseForTest, onDatabase } from '../harness/postgres.js';
import { discardServer, eventually, startServer } from '../harness/server.js';
import { NOTHING_REMAINS, remainsIn } from './remains.js';

const SETTINGS = { 'blob-grace-seconds': 0, 'lease-seconds': 1 };

test('a server that can not remove what a deleted dataset left serves nevertheless, and removes it later', async () => {
  const first = await startServer(SETTINGS);
  onTestFinished(() => discardServer(first));
  const { dataFolder } = first;
  const api = await first.api();
  const [kept, deleted] = [await api.newDataset('kept'), await api.newDataset()];
  expect((await api.upload(deleted, 'a.txt', 'a caption')).status).toBe(200);
  // Nothing can be deleted below a file in place of a folder.
  const root = join(dataFolder, 'blobs');
  const stored = (await readdir(root, { recursive: true })).find((path) => path.includes('/')) ?? '';
  const blobs = dirname(join(root, stored));
  await rm(blobs, { recursive: true });
  await writeFile(blobs, '');
  expect((await api.request('DELETE', `/${deleted}`)).status).toBe(200);
  await first.stop('SIGKILL');

  const next = await startServer(SETTINGS, { dataFolder });
  onTestFinished(() => next.stop().then(() => {}));
  const again = new Api(next.url, api.token);
  expect((await again.list()).body.datasets).toMatchObject([{ id: kept }]);
  await eventually(() => next.output().includes('a job failed; it will be retried') || undefined);
  await rm(blobs);
  await expect.poll(() => remainsIn(dataFolder)).toEqual(NOTHING_REMAINS);
});

test.skipIf(whyNoPostgres() !== undefined)(
  'a server with new rules for the history serves while a transaction locks a dataset',
  async () => {
    const url = await databaseForTest();
    const env = { DATABASE_URL: url };
    const first = await startServer(SETTINGS, { env });
    onTestFinished(() => discardServer(first));
    const api = await first.api();
    const id = await api.newDataset();
    expect((await api.upload(id, 'a.txt', 'a caption')).status).toBe(200);
    await first.stop();

    const locking = new pg.Client({ connectionString: url });
    await locking.connect();
    onTestFinished(() => locking.end());
    await locking.query('begin');
    await locking.query('select id from dataset for update');
    const next = await startServer({ ...SETTINGS, 'history-count': 1 }, { dataFolder: first.dataFolder, env });
    onTestFinished(() => next.stop().then(() => {}));
    expect((await new Api(next.url, api.token).list()).body.datasets).toMatchObject([{ id }]);
    await locking.query('rollback');
    const rules = async () =>
      (await onDatabase(url, "select value from setting where name = 'history-rules'"))[0]?.rows;
    await expect.poll(rules).toEqual([{ value: expect.stringMatching(/ 1$/) }]);
  },
);
