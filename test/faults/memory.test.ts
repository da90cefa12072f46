import { expect, onTestFinished, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { IS_ALL } from '../harness/available.js';
import { metricsOf } from '../harness/metrics.js';
import { eventually, serverUntil } from '../harness/server.js';
import { pourDirect, pourLink } from './pour.js';
import { headOf, RawClient } from './raw-client.js';
import { faultsOf, peakMegabytes } from './remains.js';

const MEGABYTE = 1_000_000;

/** The process takes some 110 MB; eight uploads at once some 6 MB each beside that. Inspection is in other processes. */
const MAX_UPLOADING_MEGABYTES = 200;
/** Allowance for more bytes: garbage that a busy machine collects late. */
const MAX_GROWTH_MEGABYTES = 50;

test('memory does not grow with the size of concurrent uploads', async () => {
  const server = await serverUntil(onTestFinished);
  const api = await server.api();
  const id = await api.newDataset();
  const uploadEight = async (bytes: number) => {
    const uploads = Array.from({ length: 8 }, async (_, i) => {
      const filename = `large_${i}.txt`;
      if (i % 2 === 0) return pourDirect(api, id, filename, { bytes });
      return pourLink(await api.link(id, filename, bytes), bytes);
    });
    expect((await Promise.all(uploads)).map(({ status }) => status)).toEqual(uploads.map(() => 200));
    expect((await api.status(id)).body.size_bytes).toBe(8 * bytes);
    return peakMegabytes(server);
  };
  const afterSmall = await uploadEight(10 * MEGABYTE);
  const afterLarge = await uploadEight((IS_ALL ? 120 : 40) * MEGABYTE);
  expect(faultsOf(server)).toEqual([]);
  expect(afterLarge).toBeLessThan(MAX_UPLOADING_MEGABYTES);
  expect(afterLarge - afterSmall).toBeLessThan(MAX_GROWTH_MEGABYTES);
});

const CAPTIONS = 400;
/** More than the buffers of a connection take for so many captions. */
const CAPTION_BYTES = 65_536;
const AT_ONCE = 20;
const MAX_UNREAD_MEGABYTES = 400;

test('answers that their clients do not read take bounded memory', async () => {
  const server = await serverUntil(onTestFinished, {}, { env: { NODE_OPTIONS: '--max-old-space-size=4000' } });
  const api = await server.api();
  const id = await api.newDataset();
  const filenames = Array.from({ length: CAPTIONS }, (_, i) => `${'n'.repeat(200)}${i}.txt`);
  const captions = filenames.map((filename) => ({ filename, text: filename.padEnd(CAPTION_BYTES, ' a red wagon') }));
  for (let from = 0; from < CAPTIONS; from += 100) {
    const { body } = await api.json('PUT', `/${id}/captions`, { captions: captions.slice(from, from + 100) });
    expect(body).toMatchObject({ captions: Array(100).fill({ saved: true }) });
  }
  const ask = async (method: string, path: string, body: string) => {
    const client = await RawClient.open(server.url);
    const headers = { Authorization: `Bearer ${api.token}`, 'Content-Type': 'application/json' };
    const url = new URL(`${server.url}${BASE_PATH}/${id}/${path}`);
    await client.send(headOf(method, url, { ...headers, 'Content-Length': body.length, Connection: 'close' }), body);
    await eventually(() => client.received !== '' || undefined);
    client.pause();
    expect(client.received.split('\r\n', 1)).toEqual(['HTTP/1.1 200 OK']);
    return client;
  };
  for (const [method, path, body] of [
    ['GET', 'zip', ''],
    ['POST', 'captions', JSON.stringify({ filenames })],
  ] as const) {
    const clients: RawClient[] = [];
    for (let first = 0; first < (IS_ALL ? 120 : AT_ONCE); first += AT_ONCE) {
      clients.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => ask(method, path, body)))));
    }
    const inFlight = new RegExp(`^trainyard_files_in_flight ${clients.length * CAPTIONS}$`, 'm');
    await expect.poll(() => metricsOf(server)).toMatch(inFlight);
    // It is answered to its end. Meanwhile, the others read ahead what they may.
    const last = clients.at(-1)!;
    last.resume();
    await last.closed();
    expect(last.received.length).toBeGreaterThan(CAPTIONS * CAPTION_BYTES);
    for (const client of clients) await client.hangUp();
    expect(peakMegabytes(server)).toBeLessThan(MAX_UNREAD_MEGABYTES);
  }
});
