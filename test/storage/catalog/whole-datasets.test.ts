import { expect, onTestFinished, test } from 'vitest';
import { fillCatalog } from '../../../bench/fill.js';
import { recountUsage } from '../../harness/recount-usage.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { discardServer, startServer, temporaryFolder } from '../../harness/server.js';

/* Changes of all files of a dataset, each in one transaction, while other accounts send requests. */

/** With one more file, as many as a dataset may have. */
const PAIRS = 9_999;

const DELETED = 3000;

/** A server on datasets with many pairs, whose files have no bytes. */
async function serveMany() {
  const dataFolder = await temporaryFolder();
  const [filled] = await fillCatalog({ dataFolder }, [
    { account: 'many', datasets: 1, images: PAIRS, captions: PAIRS },
  ]);
  const { database, close } = await openCatalog({ dataFolder, blobGrace: 0 });
  await database.query.executeQuery(recountUsage(database.query).compile());
  await close();
  const server = await startServer({}, { dataFolder });
  onTestFinished(() => discardServer(server));
  const api = await server.api('many');
  const [id] = filled!.datasetIds as [string];
  const other = await server.api('other');
  return { server, api, id, other, otherId: await other.newDataset() };
}

test('while a dataset of many files is deleted, others upload, and requests see all of it or nothing', async () => {
  const { api, id, other, otherId } = await serveMany();
  const look = async () => {
    for (;;) {
      const { status, body } = await api.request<{ files: unknown[] }>('GET', `/${id}/files?limit=1`);
      if (status === 404) return;
      expect(body.files).toHaveLength(1);
      const [listed] = (await api.list('?limit=1000')).body.datasets.filter((dataset) => dataset.id === id);
      if (listed !== undefined) expect(listed.counts).toMatchObject({ images: PAIRS, captions: PAIRS });
    }
  };
  const [deleted, uploaded] = await Promise.all([
    api.request('DELETE', `/${id}`),
    other.upload(otherId, 'a.txt', 'a caption'),
    look(),
  ]);
  expect([deleted.status, uploaded.status]).toEqual([200, 200]);
  expect((await api.request('DELETE', `/${id}`)).status).toBe(404);
  const { body } = await api.request<{ usage: object }>('GET', '/account');
  expect(body.usage).toMatchObject({ files: 0, bytes: 0 });
});

test('while many files are restored, others upload; the answer has the state of the new revision', async () => {
  const { api, id, other, otherId } = await serveMany();
  await api.upload(id, 'one-more.txt', 'a caption');
  const digest = (await api.manifest(id)).body.digest;
  for (let from = 0; from < DELETED; from += 1000) {
    const filenames = Array.from({ length: 1000 }, (_, i) => `image_${from + i}.jpg`);
    const headers = { 'content-type': 'application/json', 'trainyard-change': 'bulk; many' };
    const removed = await api.request('DELETE', `/${id}/files`, { headers, body: JSON.stringify({ filenames }) });
    expect(removed.status).toBe(200);
  }
  const [restored, uploaded] = await Promise.all([
    api.request<{ revision: object }>('POST', `/${id}/revisions/1/restore`),
    other.upload(otherId, 'a.txt', 'a caption'),
  ]);
  expect(uploaded.status).toBe(200);
  expect(restored.body).toMatchObject({
    restored: true,
    revision: { number: 3, restored_from: 1, added: DELETED, files: 2 * PAIRS + 1, is_latest: true },
  });
  expect((await api.manifest(id)).body.digest).toBe(digest);
  const missing = await api.request('POST', `/${id}/revisions/7/restore`);
  expect([missing.status, missing.body.error_message]).toEqual([404, expect.stringContaining('Revision 7')]);
});

test('while a deletion of many files is undone, others upload; files that were added again since are kept', async () => {
  const { api, id, other, otherId } = await serveMany();
  await api.upload(id, 'one-more.txt', 'a caption');
  for (let from = 0; from < DELETED; from += 1000) {
    const filenames = Array.from({ length: 1000 }, (_, i) => `image_${from + i}.txt`);
    const headers = { 'content-type': 'application/json', 'trainyard-change': 'bulk; many' };
    const removed = await api.request('DELETE', `/${id}/files`, { headers, body: JSON.stringify({ filenames }) });
    expect(removed.status).toBe(200);
  }
  await api.upload(id, 'image_7.txt', 'written again');
  const [result, uploaded] = await Promise.all([
    api.request<{ undone: string[]; kept: string[] }>('POST', `/${id}/revisions/2/undo`),
    other.upload(otherId, 'a.txt', 'a caption'),
  ]);
  expect(uploaded.status).toBe(200);
  expect(result.body).toMatchObject({ revision: { number: 4, added: DELETED - 1, files: 2 * PAIRS + 1 } });
  expect([result.body.undone.length, result.body.kept]).toEqual([DELETED - 1, ['image_7.txt']]);
  expect((await api.request('POST', `/${id}/revisions/9/undo`)).status).toBe(404);
});

test('a restore of more bytes than the account may have is rejected, and changes nothing', async () => {
  const { server, api, id } = await serveMany();
  await api.upload(id, 'one-more.txt', 'a caption');
  const filenames = Array.from({ length: 1000 }, (_, i) => `image_${i}.jpg`);
  expect((await api.json('DELETE', `/${id}/files`, { filenames })).status).toBe(200);
  const { usage } = (await api.request<{ usage: { bytes: number } }>('GET', '/account')).body;
  await server.stop();
  const limited = await startServer({ 'account-bytes': usage.bytes }, { dataFolder: server.dataFolder });
  onTestFinished(() => limited.stop().then(() => {}));
  const again = await limited.api('many');
  const restored = await again.request('POST', `/${id}/revisions/1/restore`);
  expect(restored.body).toMatchObject({
    error_code: expect.any(Number),
    error_message: expect.stringContaining('--account-bytes'),
  });
  expect((await again.status(id)).body.counts).toMatchObject({ images: PAIRS - 1000 });
});
