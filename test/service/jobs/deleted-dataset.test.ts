import { readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Api } from '../../harness/api.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { NOTHING_REMAINS, remainsIn } from '../../faults/remains.js';

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
