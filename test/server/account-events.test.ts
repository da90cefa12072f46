import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Dataset, type DatasetEvent, TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let image: Buffer;
let hangUp = new AbortController();
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 1 });
  api = await server.api();
  image = await media.jpeg();
});
afterAll(() => discardServer(server));
afterEach(() => {
  hangUp.abort();
  hangUp = new AbortController();
});

/** A client that watches all datasets of an account. */
async function follow(as = api, url = server.url) {
  const client = new TrainyardClient({ baseUrl: url, token: as.token });
  const events = client.allEvents({ signal: hangUp.signal });
  const next = async (): Promise<DatasetEvent | undefined> => (await events.next()).value;
  expect(await next()).toEqual({ type: 'open' });
  /** The first matching event; events before it must be of the same dataset. */
  const until = async (id: string, isIt: (dataset: Dataset) => boolean): Promise<Dataset> => {
    for (;;) {
      const event = await next();
      if (event?.type !== 'dataset') throw new Error(`${JSON.stringify(event)} is not a dataset`);
      expect(event.dataset.id).toBe(id);
      if (isIt(event.dataset)) return event.dataset;
    }
  };
  return { events, next, until };
}

test('every change of every dataset is reported, including those that time causes and deletions', async () => {
  const before = await api.newDataset();
  const { next, until } = await follow();
  const { body: created } = await api.create();
  expect(await next()).toEqual({ type: 'dataset', dataset: created });
  const { id } = created;
  await api.upload(id, 'dog.jpg', image);
  await until(id, ({ counts }) => counts.images === 1 && counts.pending === 0);
  // No request is sent here: the grace period ends by itself.
  const failed = await until(id, ({ status }) => status === 'FAILED');
  expect(failed.error).toMatchObject({ code: 'MISSING_CAPTION', problems: [] });
  await api.upload(id, 'dog.txt', 'a dog');
  const ready = await until(id, ({ status }) => status === 'READY');
  expect((await api.list()).body.datasets[0]).toEqual(ready);
  await api.upload(id, 'dog.txt', 'a cat');
  await until(id, ({ updated_at, counts }) => updated_at > ready.updated_at && counts.pending === 0);
  await api.request('DELETE', `/${before}`);
  expect(await next()).toEqual({ type: 'deleted', id: before });
});

test('many clients can watch, and a server that stops ends their streams', async () => {
  const brief = await startServer();
  try {
    const mine = await brief.api();
    const followers = await Promise.all(Array.from({ length: 20 }, () => follow(mine, brief.url)));
    const { body } = await mine.create();
    for (const { next } of followers) expect(await next()).toEqual({ type: 'dataset', dataset: body });
    const ends = followers.map(({ events }) => events.next());
    await brief.stop();
    for (const end of ends) expect((await end).done).toBe(true);
  } finally {
    await discardServer(brief);
  }
});
