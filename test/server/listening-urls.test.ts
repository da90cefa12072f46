import { networkInterfaces } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { serverUntil } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const local = await sharedServer();
const hasNetwork = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.internal === false && address.family === 'IPv4');

const urlsFor = async (token: string, { url }: { url: string }) =>
  (await new TrainyardClient({ baseUrl: url, token }).account()).urls;

test.skipIf(!hasNetwork)('a server that listens everywhere names addresses at which it answers', async () => {
  expect(await urlsFor((await local.api()).token, local)).toEqual([]);
  const server = await serverUntil(onTestFinished, { host: '0.0.0.0' });
  const api = await server.api();
  const urls = (await urlsFor(api.token, server)) ?? [];
  expect(urls.length).toBeGreaterThan(0);
  for (const url of urls) expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const { secret } = (await api.json<{ secret: string }>('POST', '/tokens', { datasets: [await api.newDataset()] }))
    .body;
  expect(await urlsFor(secret, server)).toBeUndefined();
});
