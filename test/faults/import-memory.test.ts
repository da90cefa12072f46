import { afterAll, expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { IS_ALL } from '../harness/available.js';
import { startCommand } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { discardServer, startServer } from '../harness/server.js';
import { MemoryLoop } from '../hostile/observers.js';
import { zipOf } from '../hostile/zip.js';

const server = await startServer();
afterAll(() => discardServer(server));
const api = await server.api();

/** In all, 10,000 entries with `npm run test:all`. What an entry leaves behind shows with fewer, too. */
const PAIRS = IS_ALL ? 5000 : 1000;
const MAX_MEGABYTES = IS_ALL ? 600 : 400;

test(`an import of ${2 * PAIRS} entries takes bounded memory`, async () => {
  const image = await media.jpeg({ width: 900, height: 600 });
  const entries = Array.from({ length: PAIRS }, (_, i) => [
    { name: `wagons/${i}.jpg`, bytes: image },
    { name: `wagons/${i}.caption`, bytes: `wagon ${i}` },
  ]);
  const folder = await folderWith({ 'wagons.zip': zipOf(entries.flat()) });
  // What the streams of each entry leave is collected late, unless the heap is small.
  const NODE_OPTIONS = '--max-old-space-size=250';
  const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, NODE_OPTIONS };
  const running = startCommand(['import', `${folder}/wagons.zip`, '--dry-run', '--json'], { env });
  const memory = new MemoryLoop(running.process.pid!);
  onTestFinished(() => memory.stop());
  const { code, json } = await running.ended;
  expect([code, json().send.length]).toEqual([0, 2 * PAIRS]);
  const megabytes = memory.take();
  if (process.env.SHOW_MEMORY !== undefined) console.log(megabytes);
  expect(megabytes).toBeLessThan(MAX_MEGABYTES);
});
