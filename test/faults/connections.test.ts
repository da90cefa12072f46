import { spawnSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import type { Api } from '../harness/api.js';
import { metricsOf } from '../harness/metrics.js';
import { COMMAND, discardServer, eventually, type Host, startServer, type TestServer } from '../harness/server.js';
import { captionPieces } from './contents.js';
import { headOf, RawClient } from './raw-client.js';
import { faultsOf, openFiles } from './remains.js';

const limitedTo = (files: number): Host => ({
  command: ['/bin/sh', '-c', `ulimit -n ${files}; exec "$@"`, '-'],
  address: '127.0.0.1',
});
/** 320 open files are no connections. */
const MAX_CONNECTIONS = 80;
const LIMITED = { within: limitedTo(400) };

let server: TestServer;
let api: Api;
async function start(settings: Record<string, number>, options: { within?: Host } = {}): Promise<void> {
  server = await startServer(settings, options);
  api = await server.api();
}
afterEach(async () => {
  await discardServer(server);
  expect(faultsOf(server)).toEqual([]);
});

async function connections(): Promise<number> {
  return Number(/^trainyard_connections (\d+)$/m.exec(await metricsOf(server))?.[1]);
}

/** Opens an event stream, which stays. */
async function listen(token: string): Promise<RawClient> {
  const client = await RawClient.open(server.url);
  await client.send(headOf('GET', new URL(`${api.url}${BASE_PATH}/events`), { Authorization: `Bearer ${token}` }));
  await eventually(() => (client.received === '' ? undefined : true));
  return client;
}

const DOCUMENT = 'GET /openapi.json HTTP/1.1\r\nHost: yard\r\n\r\n';

test('without enough open files, the server says how many it needs', async () => {
  await start({}, LIMITED);
  const [shell = '', ...args] = limitedTo(399).command;
  const serve = [...args, process.execPath, COMMAND, 'serve', '--data', server.dataFolder];
  const { status, stderr } = spawnSync(shell, serve, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({
    status: 78,
    stderr: expect.stringMatching(/^trainyard: [^\n]*only 399 files, and needs 400\. [^\n]*ulimit[^\n]*\n$/),
  });
});

test('one account takes half of the connections, and if all have a request, a further one is told so, until one ends', async () => {
  await start({}, LIMITED);
  const other = await server.api('other');
  const clients: RawClient[] = [];
  for (let count = 0; count < MAX_CONNECTIONS / 2; count++) clients.push(await listen(api.token));
  const { status, body, headers } = await api.list();
  expect({ status, message: body.error_message }).toEqual({
    status: 429,
    message: expect.stringContaining('40 requests in flight'),
  });
  expect(headers.get('retry-after')).toBe('2');
  expect((await other.list()).status).toBe(200);
  await clients.pop()?.hangUp();
  await eventually(async () => ((await api.list()).status === 200 ? true : undefined));

  clients.push(await listen(api.token));
  for (let count = 0; count < MAX_CONNECTIONS / 2; count++) clients.push(await listen(other.token));
  const refused = await RawClient.open(server.url);
  await refused.send(DOCUMENT);
  expect(await eventually(() => refused.answer())).toMatchObject({
    status: 503,
    body: { error_message: expect.stringContaining('80 connections') },
  });
  await refused.closed();
  await clients.pop()?.hangUp();
  await eventually(async () => ((await fetch(`${server.url}/openapi.json`)).ok ? true : undefined));
  for (const client of clients) await client.hangUp();
});

test('beside connections without a whole request, a further one is told that there are too many', async () => {
  await start({}, LIMITED);
  const clients: RawClient[] = [];
  for (let count = 0; count < MAX_CONNECTIONS; count++) {
    const client = await RawClient.open(server.url);
    if (count % 2 === 0) await client.send('GET /healthz HTTP/1.1\r\nHost');
    clients.push(client);
  }
  await eventually(async () => ((await connections()) > MAX_CONNECTIONS ? true : undefined));
  const rejected = await RawClient.open(server.url);
  await rejected.send(DOCUMENT);
  expect(await eventually(() => rejected.answer())).toMatchObject({ status: 503 });
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  for (const client of clients) await client.hangUp();
  await eventually(async () => ((await fetch(`${server.url}/openapi.json`)).ok ? true : undefined));
});

test('a download is given up once its client reads nothing, and goes on as long as it reads', async () => {
  await start({ 'idle-seconds': 1 });
  const id = await api.newDataset();
  const bytes = Buffer.concat([...captionPieces(30_000_000)]);
  await api.upload(id, 'large.txt', bytes);
  const files = openFiles(server);
  const stuck = await api.raw('GET', `/${id}/files/large.txt`);
  // The file is open since the answer has begun, unless it was given up already.
  await eventually(() => (openFiles(server) <= files ? true : undefined));
  await expect(stuck.arrayBuffer()).rejects.toThrow();

  const slow = await api.raw('GET', `/${id}/files/large.txt`);
  const reader = slow.body!.getReader();
  const late = Date.now() + 2000;
  let received = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    received += value.length;
    if (Date.now() < late) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(received).toBe(bytes.length);
});
