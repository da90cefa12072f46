import { expect, onTestFinished, test } from 'vitest';
import { fillCatalog } from '../../../bench/fill.js';
import { recountUsage } from '../../harness/recount-usage.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { serverUntil, temporaryFolder } from '../../harness/server.js';

/* Changes of all files of a dataset, each in one transaction, while other accounts send requests. */

const PAIRS = 3000;
const DELETED = 1000;

/** A server on datasets with many pairs, whose files have no bytes. */
async function serveMany() {
  const dataFolder = await temporaryFolder();
  const [filled] = await fillCatalog({ dataFolder }, [
    { account: 'many', datasets: 1, images: PAIRS, captions: PAIRS },
  ]);
  const { database, close } = await openCatalog({ dataFolder, blobGrace: 0 });
  await database.run(recountUsage());
  await close();
  const server = await serverUntil(onTestFinished, {}, { dataFolder });
  const api = await server.api('many');
  const [id] = filled!.datasetIds as [string];
  const other = await server.api('other');
  return { api, id, other, otherId: await other.newDataset() };
}

test('while many files are restored, their deletion is undone, or all are deleted, others upload, and see all or nothing', async () => {
  const { api, id, other, otherId } = await serveMany();
  const meanwhile = async <T>(work: Promise<T>): Promise<T> => {
    const [result, uploaded] = await Promise.all([work, other.upload(otherId, 'a.txt', 'a caption')]);
    expect(uploaded.status).toBe(200);
    return result;
  };
  /** Removes files of a kind in one revision. */
  const removeMany = async (extension: string) => {
    const filenames = Array.from({ length: DELETED }, (_, i) => `image_${i}.${extension}`);
    const headers = { 'content-type': 'application/json' };
    const removed = await api.request('DELETE', `/${id}/files`, { headers, body: JSON.stringify({ filenames }) });
    expect(removed.status).toBe(200);
  };
  await api.upload(id, 'one-more.txt', 'a caption');
  const { digest } = (await api.manifest(id)).body;

  await removeMany('jpg');
  const restored = await meanwhile(api.request<{ revision: object }>('POST', `/${id}/revisions/1/restore`));
  expect(restored.body).toMatchObject({
    restored: true,
    revision: { number: 3, restored_from: 1, added: DELETED, files: 2 * PAIRS + 1, is_latest: true },
  });
  expect((await api.manifest(id)).body.digest).toBe(digest);

  await removeMany('txt');
  // Files that were added again since are kept.
  await api.upload(id, 'image_7.txt', 'written again');
  const undone = await meanwhile(api.request<{ undone: string[]; kept: string[] }>('POST', `/${id}/revisions/4/undo`));
  expect(undone.body).toMatchObject({ revision: { number: 6, added: DELETED - 1, files: 2 * PAIRS + 1 } });
  expect([undone.body.undone.length, undone.body.kept]).toEqual([DELETED - 1, ['image_7.txt']]);

  const look = async () => {
    for (;;) {
      const { status, body } = await api.request<{ files: unknown[] }>('GET', `/${id}/files?limit=1`);
      if (status === 404) return;
      expect(body.files).toHaveLength(1);
      const [listed] = (await api.list('?limit=1000')).body.datasets.filter((dataset) => dataset.id === id);
      if (listed !== undefined) expect(listed.counts).toMatchObject({ images: PAIRS, captions: PAIRS + 1 });
    }
  };
  const [deleted] = await Promise.all([meanwhile(api.request('DELETE', `/${id}`)), look()]);
  expect(deleted.status).toBe(200);
  expect((await api.request('DELETE', `/${id}`)).status).toBe(404);
  const { body } = await api.request<{ usage: object }>('GET', '/account');
  expect(body.usage).toMatchObject({ files: 0, bytes: 0 });
});
