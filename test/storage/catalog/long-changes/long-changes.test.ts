import { connect } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { fillCatalog } from '../../../../bench/fill.js';
import { BASE_PATH } from '../../../../src/api/base-path.js';
import { metricsOf } from '../../../harness/metrics.js';
import { recountUsage } from '../../../harness/recount-usage.js';
import { openCatalog } from '../../../../src/storage/catalog/open-catalog.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../../../harness/server.js';

/** Enough that the change takes longer than many requests, and is applied in a thread of its own. */
const PAIRS = 12_000;

/** `MANY_ROWS` of the thread is less. */
const DELETED = 3000;

/** Of a server that answers between the statements of a change, at least so many are answered during it. */
const MIN_ANSWERS = 5;

/** A server on datasets with many pairs, whose files have no bytes. */
async function serveMany({ datasets = 1 } = {}) {
  const dataFolder = await temporaryFolder();
  const [filled] = await fillCatalog({ dataFolder }, [{ account: 'many', datasets, images: PAIRS, captions: PAIRS }]);
  const { database, close } = await openCatalog({ dataFolder, blobGrace: 0 });
  await database.query.executeQuery(recountUsage(database.query).compile());
  await close();
  const server = await startServer({}, { dataFolder });
  onTestFinished(() => discardServer(server));
  const api = await server.api('many');
  const [id, otherId, lastId] = filled!.datasetIds as [string, string, string];
  return { server, api, id, otherId, lastId };
}

/** Requests `/healthz` until the work has ended. @returns how often it was answered, and what the work returned */
async function answersDuring<T>({ url }: TestServer, work: Promise<T>): Promise<{ answers: number; result: T }> {
  let hasEnded = false;
  const ended = work.finally(() => {
    hasEnded = true;
  });
  let answers = 0;
  for (; !hasEnded; answers++) await (await fetch(`${url}/healthz`)).arrayBuffer();
  return { answers, result: await ended };
}

test('while a dataset of many files is deleted, requests are answered, and see all of it or nothing', async () => {
  const { server, api, id } = await serveMany();
  const other = await api.newDataset('other');
  const deletion = api.request('DELETE', `/${id}`);
  const { answers, result } = await answersDuring(
    server,
    Promise.all([
      deletion,
      // It waits for the end of the deletion, however long that takes.
      api.upload(other, 'a.txt', 'a caption'),
      (async () => {
        for (;;) {
          const { status, body } = await api.request<{ files: unknown[] }>('GET', `/${id}/files?limit=1`);
          if (status === 404) return;
          expect(body.files).toHaveLength(1);
          const [listed] = (await api.list('?limit=1000')).body.datasets.filter((dataset) => dataset.id === id);
          if (listed !== undefined) expect(listed.counts).toMatchObject({ images: PAIRS, captions: PAIRS });
        }
      })(),
    ]),
  );
  expect([result[0].status, result[1].status]).toEqual([200, 200]);
  expect(answers).toBeGreaterThan(MIN_ANSWERS);
  expect((await api.request('DELETE', `/${id}`)).status).toBe(404);
  const { body } = await api.request<{ usage: object }>('GET', '/account');
  expect(body.usage).toMatchObject({ files: 1, bytes: 9 });
});

test('a deletion that waits for another when its client goes is not begun', async () => {
  const { server, api, id, otherId, lastId } = await serveMany({ datasets: 3 });
  const lock = new DatabaseSync(join(server.dataFolder, 'catalog.sqlite'));
  onTestFinished(() => lock.close());
  lock.exec('begin immediate');
  const deletion = api.request('DELETE', `/${id}`);
  const connections = async () => Number(/^trainyard_connections (\d+)/m.exec(await metricsOf(server))?.[1]);
  const before = await connections();
  const leaving = connect(Number(new URL(server.url).port), '127.0.0.1');
  const authorization = `Authorization: Bearer ${api.token}`;
  leaving.write(`DELETE ${BASE_PATH}/${otherId} HTTP/1.1\r\nHost: yard\r\n${authorization}\r\n\r\n`);
  await eventually(async () => ((await connections()) > before ? true : undefined));
  expect((await api.request('GET', `/${otherId}/files?limit=1`)).status).toBe(200);
  leaving.resetAndDestroy();
  await eventually(async () => ((await connections()) === before ? true : undefined));
  lock.exec('rollback');
  expect((await deletion).status).toBe(200);
  expect((await api.request('DELETE', `/${lastId}`)).status).toBe(200);
  expect((await api.list()).body.datasets.map((dataset) => dataset.id)).toEqual([otherId]);
});

test('a dataset of many files whose deletion is killed is complete, and can be deleted', async () => {
  const { server, api, id } = await serveMany();
  const deletion = api.request('DELETE', `/${id}`).catch(() => undefined);
  const { answers } = await answersDuring(
    server,
    (async () => {
      for (let i = 0; i < 5; i++) await (await fetch(`${server.url}/healthz`)).arrayBuffer();
    })(),
  );
  expect(answers).toBeGreaterThan(0);
  await server.stop('SIGKILL');
  await deletion;
  const restarted = await startServer({}, { dataFolder: server.dataFolder });
  onTestFinished(() => restarted.stop().then(() => {}));
  const again = await restarted.api('many');
  const listed = (await again.list()).body.datasets;
  // The kill came before the commit or after it.
  if (listed.length > 0) {
    expect(listed[0]?.counts).toMatchObject({ images: PAIRS, captions: PAIRS });
    expect((await again.request('DELETE', `/${id}`)).status).toBe(200);
  }
  expect((await again.request<{ usage: object }>('GET', '/account')).body.usage).toMatchObject({ files: 0, bytes: 0 });
});

test('while many files are restored, requests are answered; the answer has the state of the new revision', async () => {
  const { server, api, id } = await serveMany();
  await api.upload(id, 'one-more.txt', 'a caption');
  const digest = (await api.manifest(id)).body.digest;
  for (let from = 0; from < DELETED; from += 1000) {
    const filenames = Array.from({ length: 1000 }, (_, i) => `image_${from + i}.jpg`);
    const headers = { 'content-type': 'application/json', 'trainyard-change': 'bulk; many' };
    const removed = await api.request('DELETE', `/${id}/files`, { headers, body: JSON.stringify({ filenames }) });
    expect(removed.status).toBe(200);
  }
  const restore = api.request<{ revision: object }>('POST', `/${id}/revisions/1/restore`);
  const { answers, result } = await answersDuring(server, restore);
  expect(result.body).toMatchObject({
    restored: true,
    revision: { number: 3, restored_from: 1, added: DELETED, files: 2 * PAIRS + 1, is_latest: true },
  });
  expect(answers).toBeGreaterThan(MIN_ANSWERS);
  expect((await api.manifest(id)).body.digest).toBe(digest);
  const missing = await api.request('POST', `/${id}/revisions/7/restore`);
  expect([missing.status, missing.body.error_message]).toEqual([404, expect.stringContaining('Revision 7')]);
});

test('while a deletion of many files is undone, requests are answered; files that were added again since are kept', async () => {
  const { server, api, id } = await serveMany();
  await api.upload(id, 'one-more.txt', 'a caption');
  for (let from = 0; from < DELETED; from += 1000) {
    const filenames = Array.from({ length: 1000 }, (_, i) => `image_${from + i}.txt`);
    const headers = { 'content-type': 'application/json', 'trainyard-change': 'bulk; many' };
    const removed = await api.request('DELETE', `/${id}/files`, { headers, body: JSON.stringify({ filenames }) });
    expect(removed.status).toBe(200);
  }
  await api.upload(id, 'image_7.txt', 'written again');
  const undoing = api.request<{ undone: string[]; kept: string[] }>('POST', `/${id}/revisions/2/undo`);
  const { answers, result } = await answersDuring(server, undoing);
  expect(result.body).toMatchObject({ revision: { number: 4, added: DELETED - 1, files: 2 * PAIRS + 1 } });
  expect([result.body.undone.length, result.body.kept]).toEqual([DELETED - 1, ['image_7.txt']]);
  expect(answers).toBeGreaterThan(MIN_ANSWERS);
  expect((await api.request('POST', `/${id}/revisions/9/undo`)).status).toBe(404);
});

test('a change in a thread fails with the error and the code that it has without one', async () => {
  const { server, api, id } = await serveMany();
  await api.upload(id, 'one-more.txt', 'a caption');
  const filenames = Array.from({ length: 1000 }, (_, i) => `image_${i}.jpg`);
  expect((await api.json('DELETE', `/${id}/files`, { filenames })).status).toBe(200);
  await server.stop();
  const limited = await startServer({ 'account-files': 2 * PAIRS }, { dataFolder: server.dataFolder });
  onTestFinished(() => limited.stop().then(() => {}));
  const again = await limited.api('many');
  const restored = await again.request('POST', `/${id}/revisions/1/restore`);
  expect(restored.body).toMatchObject({
    error_code: expect.any(Number),
    error_message: expect.stringContaining('--account-files'),
  });
  expect((await again.status(id)).body.counts).toMatchObject({ images: PAIRS - 1000 });
});

test('while pairs of a dataset that changes all the time are proved with the lock, requests are answered', async () => {
  const { server, api, id, otherId: control } = await serveMany({ datasets: 2 });
  const database = new DatabaseSync(join(server.dataFolder, 'catalog.sqlite'), { timeout: 0 });
  onTestFinished(() => database.close());
  database.prepare("update dataset set role = 'control' where id = ?").run(control);
  expect((await api.request('DELETE', `/${control}/files/image_7.jpg`)).status).toBe(200);
  const change = database.prepare('update dataset set version = version + 1 where id = ?');
  /** @returns false if a transaction of the server has the lock */
  const tryToChange = () => {
    try {
      change.run(id);
      return true;
    } catch (error) {
      expect(String(error)).toContain('locked');
      return false;
    }
  };
  let hasEnded = false;
  const linking = api.json('PUT', `/${id}/links`, { control_1: control }).finally(() => {
    hasEnded = true;
  });
  let answers = 0;
  while (!hasEnded) {
    await turn();
    if (tryToChange()) continue;
    await (await fetch(`${server.url}/healthz`)).arrayBuffer();
    if (!tryToChange()) answers++;
  }
  expect((await linking).status).toBe(200);
  expect((await api.status(id)).body.counts).toMatchObject({ images: PAIRS, unpaired: 1 });
  expect(answers).toBeGreaterThan(0);
});
