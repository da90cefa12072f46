import { afterAll, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import { directBytes, headOf, RawClient } from '../faults/raw-client.js';
import { notedJpeg } from '../faults/contents.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let id: string;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
  id = await api.newDataset();
});
afterAll(() => discardServer(server));

/** Sends a request, closes the sending side, and returns the connection once the server has closed its side as well. */
async function sendAndFinish(bytes: string | Buffer): Promise<RawClient> {
  const client = await RawClient.open(server.url);
  await client.send(bytes);
  client.finish();
  await client.closed();
  return client;
}

const getOf = (path: string) =>
  headOf('GET', new URL(`${server.url}${path}`), { Authorization: `Bearer ${api.token}` });

test.each([
  ['asks whether the store answers', () => getOf('/readyz'), 200],
  ['lists the datasets', () => getOf(BASE_PATH), 200],
  ['waits for a change of the status', () => getOf(`${BASE_PATH}/${id}/status?wait=60`), 200],
  ['uploads a file', () => directBytes(api, id, 'a.jpg', notedJpeg('a whole picture', 50_000)), 200],
  ['sends half of a file', () => directBytes(api, id, 'b.jpg', notedJpeg('half', 50_000)).subarray(0, 20_000), 400],
] as const)('a client that %s and closes its side of the connection is answered', async (_, bytes, status) => {
  const client = await sendAndFinish(bytes());
  expect(client.answer()?.status).toBe(status);
});

test('requests that were sent before are answered too, in order', async () => {
  const client = await sendAndFinish(getOf('/readyz').repeat(30));
  expect(client.received.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(30);
});

test('an event stream ends when its client closes its side of the connection', async () => {
  const client = await RawClient.open(server.url);
  await client.send(getOf(`${BASE_PATH}/${id}/events`));
  await eventually(() => (client.received.includes('event: dataset') ? true : undefined));
  client.finish();
  await client.closed();
});

test('a file and its thumbnail are sent without a warning of Node in the log', async () => {
  const own = await startServer();
  const account = await own.api();
  const dataset = await account.newDataset();
  await account.upload(dataset, 'a.jpg', await media.jpeg({ width: 900, height: 700 }));
  for (const path of ['files/a.jpg', 'files/a.jpg/thumbnail']) {
    const answer = await account.raw('GET', `/${dataset}/${path}`);
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
  }
  expect(await own.stop()).toBe(0);
  expect(own.output()).not.toContain('Warning: ');
  await discardServer(own);
});
