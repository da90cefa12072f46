import { afterAll, expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { IS_ALL } from '../harness/available.js';
import { startCommand } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { serverUntil } from '../harness/server.js';
import { MemoryLoop } from '../hostile/observers.js';
import { zipOf } from '../hostile/zip.js';

const server = await serverUntil(afterAll);
const api = await server.api();
const image = await media.jpeg({ width: 900, height: 600, quality: IS_ALL ? 80 : 100 });

/** The names, sizes and findings of so many more entries, and what waits to be collected. */
const MORE_MEGABYTES = 100;

/** What an import of so many entries takes at most, with all its processes. */
async function megabytesOf(count: number): Promise<number> {
  const entries = Array.from({ length: count / 2 }, (_, i) => [
    { name: `wagons/${i}.jpg`, bytes: image },
    { name: `wagons/${i}.caption`, bytes: `wagon ${i}` },
  ]);
  const folder = await folderWith({ 'wagons.zip': zipOf(entries.flat()) });
  const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
  const running = startCommand(['import', `${folder}/wagons.zip`, '--dry-run', '--json'], { env });
  const memory = new MemoryLoop(running.process.pid!);
  onTestFinished(() => memory.stop());
  const { code, json } = await running.ended;
  expect([code, json().send.length]).toEqual([0, count]);
  return memory.take();
}

const [FEW, MANY] = IS_ALL ? [2000, 10_000] : [100, 700];
test(`an import of ${MANY} entries takes hardly more memory than one of ${FEW}`, async () => {
  expect((image.length * (MANY - FEW)) / 2).toBeGreaterThan(MORE_MEGABYTES * 1e6);
  const [few, many] = [await megabytesOf(FEW), await megabytesOf(MANY)];
  expect(many).toBeLessThan(few + MORE_MEGABYTES);
});
