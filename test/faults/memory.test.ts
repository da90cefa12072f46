import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import { captionPieces } from './contents.js';
import { headOf, pourDirect, pourLink } from './raw-client.js';
import { faultsOf, peakMegabytes } from './remains.js';

const MEGABYTE = 1_000_000;

/** The process takes some 110 MB; eight uploads at once some 6 MB each beside that. Inspection is in other processes. */
const MAX_MEGABYTES = 200;

/** Allowance for twelve times the bytes: garbage that a busy machine collects late. */
const MAX_GROWTH_MEGABYTES = 50;

let server: TestServer;
let api: Api;

beforeAll(async () => {
  server = await startServer();
  api = await server.api();
});

afterAll(() => discardServer(server));

test('memory does not grow with the size of concurrent uploads', async () => {
  const id = await api.newDataset();
  const uploadEight = async (bytes: number) => {
    const uploads = Array.from({ length: 8 }, async (_, i) => {
      const filename = `large_${i}.txt`;
      const upload = { pieces: captionPieces(bytes), contentLength: bytes };
      if (i % 2 === 0) return pourDirect(api, id, filename, upload);
      return pourLink(await api.link(id, filename, bytes), upload);
    });
    expect((await Promise.all(uploads)).map(({ status }) => status)).toEqual(uploads.map(() => 200));
    expect((await api.status(id)).body.size_bytes).toBe(8 * bytes);
    return peakMegabytes(server);
  };
  const afterSmall = await uploadEight(10 * MEGABYTE);
  const afterLarge = await uploadEight(120 * MEGABYTE);
  if (process.env.SHOW_MEMORY !== undefined) console.log(afterSmall, afterLarge);
  expect(faultsOf(server)).toEqual([]);
  expect(afterLarge).toBeLessThan(MAX_MEGABYTES);
  expect(afterLarge - afterSmall).toBeLessThan(MAX_GROWTH_MEGABYTES);
});

test('answers that their clients do not read take a bounded amount of memory', async () => {
  const id = await api.newDataset();
  const text = 'word '.repeat(13_000);
  for (let first = 0; first < 400; first += 200) {
    const names = Array.from({ length: 200 }, (_, i) => `${first + i}.txt`);
    const captions = names.map((filename) => ({ filename, text }));
    expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
  }
  const filenames = Array.from({ length: 1000 }, (_, i) => `${i % 400}.txt`);
  const body = JSON.stringify({ filenames });
  await whileUnread(40, { method: 'POST', path: `/${id}/captions`, body }, async () => {
    // Each answer has 65 MB.
    expect(
      (await api.json<{ captions: { text: string }[] }>('POST', `/${id}/captions`, { filenames })).body.captions,
    ).toHaveLength(1000);
  });
  expect(peakMegabytes(server)).toBeLessThan(400);
});

test('large batches of upload links take a bounded amount of memory', async () => {
  const sizes = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`img_${i}.txt`, 5]));
  const ids = await Promise.all(Array.from({ length: 15 }, () => api.newDataset()));
  const statuses = await Promise.all(
    ids.map(async (id) => {
      const response = await api.raw('POST', `/${id}/get-upload-endpoint`, {
        body: JSON.stringify({ filenameToByteSize: sizes }),
        headers: { 'content-type': 'application/json' },
      });
      await response.arrayBuffer();
      return response.status;
    }),
  );
  // An account has at most 200,000 files in flight. On a busy machine, a batch may have ended before the last ones arrive.
  expect(statuses.filter((status) => status !== 429)).toEqual(
    expect.arrayContaining(Array.from({ length: 10 }, () => 200)),
  );
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  expect(peakMegabytes(server)).toBeLessThan(500);
});

test('texts of the largest captions and archives of them take a bounded amount of memory, read or not', async () => {
  const id = await api.newDataset();
  // JSON has six bytes for each of its characters.
  const text = '\u0001'.repeat(65_530);
  const filenames = Array.from({ length: 190 }, (_, i) => `${i}.txt`);
  for (const revision of ['before', 'after']) {
    for (let first = 0; first < filenames.length; first += 38) {
      const captions = filenames.slice(first, first + 38).map((filename) => ({ filename, text: text + revision }));
      expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
    }
  }
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const response = await api.raw('GET', `/${id}/revisions/diff?from=1&to=2&limit=1000`);
      for await (const _ of response.body!);
      return response.status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
  for (const [connections, request] of [
    [200, { method: 'POST', path: `/${id}/captions`, body: JSON.stringify({ filenames }) }],
    [300, { method: 'GET', path: `/${id}/zip` }],
  ] as const) {
    await whileUnread(connections, request, async () => {
      const { method, path, ...body } = request;
      const read = await api.raw(method, path, { ...body, headers: { 'content-type': 'application/json' } });
      expect((await read.arrayBuffer()).byteLength).toBeGreaterThan(190 * 65_000);
    });
  }
  expect(peakMegabytes(server)).toBeLessThan(500);
});

/** Sends a request on each of many connections, and runs `work` before any of their answers is read. */
async function whileUnread(
  connections: number,
  { method, path, body = '' }: { method: string; path: string; body?: string },
  work: () => Promise<void>,
): Promise<void> {
  const url = new URL(`${api.url}${BASE_PATH}${path}`);
  const headers = { Authorization: `Bearer ${api.token}`, 'Content-Type': 'application/json' };
  const clients: Socket[] = [];
  for (let i = 0; i < connections; i++) {
    const client = connect(Number(url.port), url.hostname).pause();
    // The server resets those that have waited for longest.
    client.on('error', () => {});
    await once(client, 'connect');
    client.write(headOf(method, url, { ...headers, 'Content-Length': body.length }) + body);
    clients.push(client);
  }
  await work();
  for (const client of clients) client.destroy();
}
