import { networkInterfaces } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { discardServer, startServer } from '../harness/server.js';

const hasNetwork = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.internal === false && address.family === 'IPv4');

test('a server that listens on its own machine alone has no address for others', async () => {
  const server = await startServer();
  onTestFinished(() => discardServer(server));
  const { token } = await server.api();
  expect((await new TrainyardClient({ baseUrl: server.url, token }).account()).urls).toEqual([]);
});

test.skipIf(!hasNetwork)('a server that listens everywhere names addresses at which it answers', async () => {
  const server = await startServer({ host: '0.0.0.0' });
  onTestFinished(() => discardServer(server));
  const api = await server.api();
  const { urls = [] } = await new TrainyardClient({ baseUrl: server.url, token: api.token }).account();
  expect(urls.length).toBeGreaterThan(0);
  for (const url of urls) expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const id = await api.newDataset();
  const made = (await api.json<{ secret: string }>('POST', '/tokens', { datasets: [id] })).body;
  expect((await new TrainyardClient({ baseUrl: server.url, token: made.secret }).account()).urls).toBeUndefined();
});
