import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { startProxy } from './proxy.js';
import { eventually } from './server.js';

test('a request that is released before its bytes arrive is not held', async () => {
  const server = createServer(async (incoming, response) => response.end(await text(incoming))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const proxy = await startProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => proxy.close());
  proxy.rule(() => ({ holdAfterBytes: 1 }));
  const sending = request(`${proxy.url}/`, { method: 'PUT' });
  sending.flushHeaders();
  await eventually(() => proxy.requests('PUT', '/')[0]);
  proxy.release();
  for (const part of ['the bytes', ' in two parts']) await new Promise((resolve) => sending.write(part, resolve));
  sending.end();
  const [response] = (await once(sending, 'response')) as [IncomingMessage];
  expect(await text(response)).toBe('the bytes in two parts');
});
