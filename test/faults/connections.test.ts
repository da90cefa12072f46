import { spawnSync } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { COMMAND, discardServer, eventually, type Host, startServer } from '../harness/server.js';
import { headOf, RawClient } from './raw-client.js';
import { faultsOf } from './remains.js';

const limitedTo = (files: number): Host => ({
  command: ['/bin/sh', '-c', `ulimit -n ${files}; exec "$@"`, '-'],
  address: '127.0.0.1',
});
/** 320 open files are no connections. */
const MAX_CONNECTIONS = 80;

const server = await startServer({}, { within: limitedTo(400) });
const api = await server.api();
afterAll(async () => {
  await discardServer(server);
  expect(faultsOf(server)).toEqual([]);
});

/** Opens an event stream, which stays. */
async function listen(token: string): Promise<RawClient> {
  const client = await RawClient.open(server.url);
  await client.send(headOf('GET', new URL(`${api.url}${BASE_PATH}/events`), { Authorization: `Bearer ${token}` }));
  await eventually(() => (client.received === '' ? undefined : true));
  return client;
}

/** The status and message of a further connection, once it is answered. */
async function further(path = '/openapi.json'): Promise<{ status: number; body: { error_message?: string } }> {
  const client = await RawClient.open(server.url);
  await client.send(`GET ${path} HTTP/1.1\r\nHost: yard\r\n\r\n`);
  const answer = await eventually(() => client.answer());
  await client.hangUp();
  return answer;
}

const served = () => eventually(async () => ((await fetch(`${server.url}/openapi.json`)).ok ? true : undefined));

test('without enough open files, the server says how many it needs', () => {
  const [shell = '', ...args] = limitedTo(399).command;
  const serve = [...args, process.execPath, COMMAND, 'serve', '--data', server.dataFolder];
  const { status, stderr } = spawnSync(shell, serve, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({
    status: 78,
    stderr: expect.stringMatching(/^trainyard: [^\n]*only 399 files, and needs 400\. [^\n]*ulimit[^\n]*\n$/),
  });
});

test('one account takes half of the connections, and if all have a request, a further one is told so, until one ends', async () => {
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
  expect(await further()).toMatchObject({
    status: 503,
    body: { error_message: expect.stringContaining('80 connections') },
  });
  expect((await further('/readyz')).status).toBe(200);
  await clients.pop()?.hangUp();
  await served();
  for (const client of clients) await client.hangUp();
});

test('beside connections without a whole request, a further one is told that there are too many', async () => {
  const clients: RawClient[] = [];
  for (let count = 0; count < MAX_CONNECTIONS; count++) {
    const client = await RawClient.open(server.url);
    if (count % 2 === 0) await client.send('GET /healthz HTTP/1.1\r\nHost');
    clients.push(client);
  }
  await eventually(async () => ((await further()).status === 503 ? true : undefined));
  expect((await further('/healthz')).status).toBe(200);
  for (const client of clients) await client.hangUp();
  await served();
});
