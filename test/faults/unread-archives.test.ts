import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillCatalog, IMAGE_BYTES } from '../../bench/fill.js';
import { BASE_PATH } from '../../src/api/base-path.js';
import { blobKeyOf } from '../../src/storage/blobs/blobs.js';
import { DiskBlobs } from '../../src/storage/blobs/disk/disk-blobs.js';
import { startServer, temporaryFolder } from '../harness/server.js';
import { headOf } from './raw-client.js';
import { peakMegabytes } from './remains.js';

/* Downloads that their clients don't read, of files with the longest names and as many warnings as a file can have. */

const PAIRS = 5000;
/** More than the buffers of a connection take for a thousand captions. */
const CAPTION_BYTES = 65_536;

const AT_ONCE = 20;

/** With one character that is not Latin, each one takes two bytes in memory. */
const LONG = `字${'n'.repeat(230)}`;
const WARNINGS = Array.from({ length: 4 }, (_, i) => {
  const filename = `${LONG}${i}.txt`;
  return {
    severity: 'warning',
    code: 'CONTENT_DIFFERS',
    filename,
    message: `${filename} ${'is accepted. '.repeat(40)}`,
  };
});

let dataFolder: string;
let token: string;
let filenames: readonly string[];
beforeAll(async () => {
  dataFolder = await temporaryFolder();
  const [filled] = await fillCatalog({ dataFolder }, [{ account: 'ada', datasets: 1, images: PAIRS, captions: PAIRS }]);
  token = filled!.token;
  const database = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
  database
    .prepare('update file set filename = ? || filename, stem = ? || stem, warnings = ?')
    .run(LONG, LONG, JSON.stringify(WARNINGS));
  for (const [kind, bytes] of [
    ['image', IMAGE_BYTES],
    ['caption', CAPTION_BYTES],
  ] as const) {
    const sha256 = createHash('sha256').update(Buffer.alloc(bytes)).digest('hex');
    database.prepare('update file set size_bytes = ?, sha256 = ? where kind = ?').run(bytes, sha256, kind);
  }
  const files = database.prepare('select id, filename, size_bytes from file order by filename').all() as {
    id: string;
    filename: string;
    size_bytes: number;
  }[];
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

/** Each request names a thousand files. */
const names = (i: number) => JSON.stringify({ filenames: filenames.slice((i % 10) * 1000, ((i % 10) + 1) * 1000) });
const captions = () => JSON.stringify({ filenames: filenames.filter((name) => name.endsWith('.txt')).slice(0, 1000) });

interface DownloadOptions {
  readonly bodyOf?: (i: number) => string;
  readonly heapMegabytes?: number;
  readonly maxMegabytes?: number;
}

test.each([
  [20, 'GET', 'zip', {}],
  // Each is made from all that is known of its files. What that leaves is collected late, unless the heap is small.
  [20, 'GET', 'tar', { heapMegabytes: 450, maxMegabytes: 600 }],
  [120, 'POST', 'archive', { bodyOf: names }],
  [120, 'POST', 'captions', { bodyOf: captions }],
] as const)('the memory of %i answers to %s %s is bounded', async (count, method, path, options) => {
  const { bodyOf, heapMegabytes = 4000, maxMegabytes = 500 }: DownloadOptions = options;
  const env = { NODE_OPTIONS: `--max-old-space-size=${heapMegabytes}` };
  const server = await startServer({}, { dataFolder, env });
  const url = new URL(`${server.url}${BASE_PATH}/ada-0/${path}`);
  const clients: Socket[] = [];
  try {
    const ask = async (i: number) => {
      const body = bodyOf?.(i) ?? '';
      const client = connect(Number(url.port), url.hostname);
      // The server resets it when it stops.
      client.on('error', () => {});
      clients.push(client);
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
      client.write(headOf(method, url, { ...headers, 'Content-Length': Buffer.byteLength(body) }) + body);
      const [head = 'no answer'] = await Promise.race([once(client, 'data'), once(client, 'close').then(() => [])]);
      client.pause();
      expect(String(head).split('\r\n', 1)).toEqual(['HTTP/1.1 200 OK']);
    };
    for (let first = 0; first < count; first += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ask(first + i)));
    }
    if (process.env.SHOW_MEMORY !== undefined) console.log(path, peakMegabytes(server));
    expect(peakMegabytes(server)).toBeLessThan(maxMegabytes);
  } finally {
    for (const client of clients) client.destroy();
    await server.stop();
  }
});
