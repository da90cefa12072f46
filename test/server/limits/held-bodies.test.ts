import { afterAll, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../../src/api/base-path.js';
import { headOf, RawClient } from '../../faults/raw-client.js';
import type { Api } from '../../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../../harness/server.js';

const FILES = 1000;

let server: TestServer;
let api: Api;
let id: string;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
  id = await api.newDataset();
  const captions = Array.from({ length: FILES }, (_, index) => ({ filename: `${index}.txt`, text: 'a red wagon' }));
  expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
});
afterAll(() => discardServer(server));

/** Captions of which each has the condition that another text is stored. */
const unmet = () => ({
  captions: Array.from({ length: FILES }, (_, index) => ({ filename: `${index}.txt`, text: 'new', ifMatch: '"0"' })),
});

test.each([
  ['GET', '/revisions/1', 200, () => ({})],
  ['PUT', '/captions', 60, unmet],
] as const)('the last bytes of many bodies of %s %s that arrive together leave turns to others', async (...args) => {
  const [method, path, requests, bodyOf] = args;
  const body = JSON.stringify(bodyOf());
  const url = new URL(`${server.url}${BASE_PATH}/${id}${path}`);
  const headers = {
    Authorization: `Bearer ${api.token}`,
    'Content-Type': 'application/json',
    Expect: '100-continue',
    'Content-Length': Buffer.byteLength(body),
  };
  const clients = await Promise.all(Array.from({ length: requests }, () => RawClient.open(server.url)));
  for (const client of clients) await client.send(headOf(method, url, headers) + body.slice(0, -1));
  await eventually(() => clients.every(({ received }) => received.includes('100 Continue')) || undefined);
  // It has its turn after all of them.
  await api.status(id);
  await Promise.all(clients.map((client) => client.send(body.slice(-1))));
  let answered = 0;
  while (clients.some((client) => client.answer() === undefined)) {
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    answered++;
  }
  for (const client of clients) expect(client.answer()?.status).toBe(200);
  // Without turns, one or two.
  expect(answered).toBeGreaterThan(3);
  await Promise.all(clients.map((client) => client.hangUp()));
});
