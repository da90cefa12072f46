import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import { captionPieces } from './contents.js';
import { pourDirect, pourLink } from './raw-client.js';
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
