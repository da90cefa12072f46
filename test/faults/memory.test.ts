import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { fillCatalog, IMAGE_BYTES } from '../../bench/fill.js';
import { BASE_PATH } from '../../src/api/limits.js';
import { blobKeyOf } from '../../src/storage/blobs/blobs.js';
import { DiskBlobs } from '../../src/storage/blobs/disk/disk-blobs.js';
import { IS_ALL } from '../harness/available.js';
import { discardServer, startServer, temporaryFolder } from '../harness/server.js';
import { pourDirect, pourLink } from './pour.js';
import { headOf } from './raw-client.js';
import { faultsOf, peakMegabytes } from './remains.js';

const MEGABYTE = 1_000_000;

/** The process takes some 110 MB; eight uploads at once some 6 MB each beside that. Inspection is in other processes. */
const MAX_UPLOADING_MEGABYTES = 200;
/** Allowance for more bytes: garbage that a busy machine collects late. */
const MAX_GROWTH_MEGABYTES = 50;

test('memory does not grow with the size of concurrent uploads', async () => {
  const server = await startServer();
  onTestFinished(() => discardServer(server));
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

describe('answers that their clients do not read, of files with the longest names and as many warnings as a file can have', () => {
  const PAIRS = IS_ALL ? 5000 : 500;
  /** More than the buffers of a connection take for a thousand captions. */
  const CAPTION_BYTES = 65_536;
  const AT_ONCE = 20;
  const MAX_MEGABYTES = 500;
  /** With one character that is not Latin, each one takes two bytes in memory. */
  const LONG = `字${'n'.repeat(230)}`;
  const WARNINGS = Array.from({ length: 4 }, (_, i) => {
    const filename = `${LONG}${i}.txt`;
    const message = `${filename} ${'is accepted. '.repeat(40)}`;
    return { severity: 'warning', code: 'CONTENT_DIFFERS', filename, message };
  });

  let dataFolder: string;
  let token: string;
  let filenames: readonly string[];
  beforeAll(async () => {
    dataFolder = await temporaryFolder();
    const dataset = { account: 'ada', datasets: 1, images: PAIRS, captions: PAIRS };
    const [filled] = await fillCatalog({ dataFolder }, [dataset]);
    token = filled!.token;
    const database = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
    database
      .prepare('update file set filename = ? || filename, stem = ? || stem, warnings = ?')
      .run(LONG, LONG, JSON.stringify(WARNINGS));
    for (const [kind, bytes] of Object.entries({ image: IMAGE_BYTES, caption: CAPTION_BYTES })) {
      const sha256 = createHash('sha256').update(Buffer.alloc(bytes)).digest('hex');
      database.prepare('update file set size_bytes = ?, sha256 = ? where kind = ?').run(bytes, sha256, kind);
    }
    const select = 'select id, filename, size_bytes from file order by filename';
    const files = database.prepare(select).all() as { id: string; filename: string; size_bytes: number }[];
    database.close();
    filenames = files.map(({ filename }) => filename);
    const blobs = await DiskBlobs.open(join(dataFolder, 'blobs'));
    for (const { id, size_bytes: bytes } of files) {
      const file = await open(blobs.pathOf(blobKeyOf({ id, datasetId: 'ada-0' })), 'wx');
      await file.truncate(bytes);
      await file.close();
    }
  });
  afterAll(() => rm(dataFolder, { recursive: true }));

  /** Sends so many requests, and reads the answer of the last one alone. The others read ahead what they may. */
  async function expectBounded(count: number, method: string, path: string, body = ''): Promise<void> {
    const server = await startServer({}, { dataFolder, env: { NODE_OPTIONS: '--max-old-space-size=4000' } });
    const url = new URL(`${server.url}${BASE_PATH}/ada-0/${path}`);
    const clients: Socket[] = [];
    try {
      const ask = async () => {
        const client = connect(Number(url.port), url.hostname);
        // The server resets it when it stops.
        client.on('error', () => {});
        clients.push(client);
        const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
        const Authorization = `Bearer ${token}`;
        client.write(headOf(method, url, { ...headers, Authorization, Connection: 'close' }) + body);
        const [head = 'no answer'] = await Promise.race([once(client, 'data'), once(client, 'close').then(() => [])]);
        client.pause();
        expect(String(head).split('\r\n', 1)).toEqual(['HTTP/1.1 200 OK']);
      };
      for (let first = 0; first < count; first += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, ask));
      }
      const last = clients.at(-1)!.resume();
      await once(last, 'end');
      expect(last.bytesRead).toBeGreaterThan(Math.min(PAIRS, 1000) * CAPTION_BYTES);
      expect(peakMegabytes(server)).toBeLessThan(MAX_MEGABYTES);
    } finally {
      for (const client of clients) client.destroy();
      await server.stop();
    }
  }

  test('archives take bounded memory', () => expectBounded(20, 'GET', 'zip'));

  test('texts of captions take bounded memory', () => {
    const captions = filenames.filter((name) => name.endsWith('.txt')).slice(0, 1000);
    return expectBounded(IS_ALL ? 120 : 40, 'POST', 'captions', JSON.stringify({ filenames: captions }));
  });
});
