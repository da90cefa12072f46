import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import { headOf, RawClient } from '../faults/raw-client.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
});
afterAll(() => discardServer(server));

/** The statuses of all answers received so far, in order. */
const statusesOf = (client: RawClient) =>
  [...client.received.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n';

test('large answers to requests that are sent at once are all received', async () => {
  // The package of the command line has some hundred kilobytes.
  expect((await fetch(`${server.url}/cli.tgz`, { method: 'HEAD' })).status).toBe(200);
  const client = await RawClient.open(server.url);
  await client.send('GET /cli.tgz HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(12) + HEALTH);
  await eventually(() => (statusesOf(client).length === 13 ? true : undefined));
  expect(new Set(statusesOf(client))).toEqual(new Set([200]));
  await client.hangUp();
});

/** A request with its answer's status. Some have bodies of many lines. */
const request = fc.oneof(
  fc.constant({ status: 200, bytes: HEALTH }),
  fc.constant({ status: 404, bytes: 'GET /unknown HTTP/1.1\r\nHost: a\r\n\r\n' }),
  fc.record({ lines: fc.nat(3000), isChunked: fc.boolean(), headers: fc.nat(40) }).map(({ lines, ...options }) => {
    const body = `{"name":${'\r\n'.repeat(lines)}1}`;
    return { status: 422, bytes: bytesOf(body, options) };
  }),
);

function bytesOf(body: string, { isChunked, headers }: { isChunked: boolean; headers: number }): string {
  const head = headOfJson({
    ...Object.fromEntries(Array.from({ length: headers }, (_, i) => [`X-${i}`, 'x'])),
    ...(isChunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': body.length }),
  });
  if (!isChunked) return head + body;
  return `${head}${(body.match(/.{1,500}/gs) ?? []).map(chunk).join('')}0\r\n\r\n`;
}

function headOfJson(headers: Record<string, string | number>): string {
  const url = new URL(`${server.url}${BASE_PATH}`);
  return headOf('POST', url, { Authorization: `Bearer ${api.token}`, 'Content-Type': 'application/json', ...headers });
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

test('requests of any length are answered in order, however their bytes arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 10 }),
      async (requests, sizes) => {
        const bytes = requests.map((each) => each.bytes).join('');
        const client = await RawClient.open(server.url);
        for (let start = 0, i = 0; start < bytes.length; i++) {
          const size = sizes[i % sizes.length] ?? bytes.length;
          await client.send(bytes.slice(start, start + size));
          start += size;
        }
        await eventually(() => (statusesOf(client).length >= requests.length ? true : undefined));
        expect(statusesOf(client)).toEqual(requests.map(({ status }) => status));
        await client.hangUp();
      },
    ),
    { numRuns: 30 },
  );
});
