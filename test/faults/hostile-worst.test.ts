// @module-tag long
import { setMaxListeners } from 'node:events';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { FAMILIES } from '../hostile/all.js';
import { sendFile } from '../hostile/attack.js';
import { writeHostile } from '../hostile/hostile-file.js';
import { cpuSecondsOf, descendantsOf, MemoryLoop } from '../hostile/observers.js';
import { faultsOf, stagedIn } from './remains.js';

let folder: string;
let server: TestServer;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startServer();
});
afterAll(async () => {
  await discardServer(server);
  await rm(folder, { recursive: true });
});

/** Writes hostile files, and returns their names and paths. */
function written(names: readonly string[]): Promise<[filename: string, path: string][]> {
  const all = Object.values(FAMILIES).flat();
  return Promise.all(
    names.map(async (name) => [name, await writeHostile(folder, all.find(({ filename }) => filename === name)!)]),
  );
}

test('files that need the most memory, inspected at once, stay within that of the service', async () => {
  const MAX_MEGABYTES = 500;
  const files = await written(['references-4k.mp4', 'sizes-by-turns.mp4', 'lossless-within-the-decoder-budget.webp']);
  const api = await server.api();
  const id = await api.newDataset();
  const memory = new MemoryLoop(server.process.pid!);
  try {
    for (let round = 0; round < 3; round++) {
      const sent = files.flatMap(([filename, path]) =>
        [0, 1].map((copy) => sendFile(server, { api, id, filename: `${round}-${copy}-${filename}` }, path)),
      );
      await Promise.all(sent);
    }
    const megabytes = memory.take();
    expect(megabytes).toBeGreaterThan(MAX_MEGABYTES / 2);
    expect(megabytes).toBeLessThan(MAX_MEGABYTES);
  } finally {
    memory.stop();
  }
  expect(faultsOf(server)).toEqual([]);
});

/** Of each format the file that takes a reader longest. */
const SLOWEST = [
  'ordered-scans-of-the-largest.jpg',
  'zeros-interlaced.png',
  'frames-of-one-pixel.webp',
  'weightless-extents.avif',
  'compositions.mp4',
  'copies-8k.mp4',
  'voids-in-a-cluster.mkv',
  'restart-after-each-block.jpg',
];
const CONNECTIONS = 16;
/**
 * The limit is compared with processor time, not with the clock: other work on the machine makes every file wait. While a
 * picture waits, each slot may be used for as long as a client waits for another file.
 */
const SLOTS = Math.max(2, availableParallelism());
/** After so much processor time, a file is answered and inspected later. */
const INLINE_SECONDS = 4;
/** For receiving the attacker's files on all connections meanwhile. */
const RECEIVING_SECONDS = 5;

/** The most processor time that the server and its processes use until one of so many pictures is answered. */
async function secondsUsedDuring(api: Api, uploads: number): Promise<number> {
  const picture = await media.jpeg({ width: 900, height: 700, quality: 90 });
  const id = await api.newDataset();
  const seconds: number[] = [];
  for (let index = 0; index < uploads; index++) {
    const before = cpuSecondsOf(server.process.pid!);
    expect((await api.upload(id, `ordinary_${index}.jpg`, picture)).status).toBe(200);
    seconds.push(cpuSecondsOf(server.process.pid!) - before);
  }
  return Math.max(...seconds);
}

/** Processor time of all processes below the server that are running. */
const busySeconds = () => descendantsOf(server.process.pid!).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);

/** Sends the slowest files again and again, on each of many connections, until `stop`. */
async function attack(api: Api): Promise<{ stop: () => Promise<unknown> }> {
  const files = await written(SLOWEST);
  const id = await api.newDataset();
  const over = new AbortController();
  setMaxListeners(CONNECTIONS + 1, over.signal);
  const connections = Array.from({ length: CONNECTIONS }, async (_, connection) => {
    for (let round = 0; !over.signal.aborted; round++) {
      const [filename, path] = files[(connection + round) % files.length]!;
      const to = { api, id, filename: `${connection}_${round}_${filename}` };
      await sendFile(server, to, path, over.signal).catch(() => {});
    }
  });
  const before = busySeconds();
  await eventually(() => busySeconds() > before + 1 || undefined);
  const stop = () => {
    over.abort();
    return Promise.all(connections);
  };
  return { stop };
}

test("an account's picture waits at most for one budget while another account sends the slowest files", async () => {
  const [attacker, neighbour] = [await server.api('attacker'), await server.api('neighbour')];
  const idle = await secondsUsedDuring(neighbour, 20);
  const { stop } = await attack(attacker);
  const used = await secondsUsedDuring(neighbour, 10);
  await stop();
  expect(used).toBeLessThan(3 * idle + SLOTS * INLINE_SECONDS + RECEIVING_SECONDS);
}, 600_000);

test('when their client hangs up, uploads stop to use the processor, and leave nothing', async () => {
  const { stop } = await attack(await server.api());
  await stop();
  const before = cpuSecondsOf(server.process.pid!);
  await eventually(() => stagedIn(server.dataFolder).length === 0 || undefined);
  // A process that works uses a tick of 10 ms between some of these looks.
  let [seconds, looks] = [busySeconds(), 0];
  await eventually(() => {
    const now = busySeconds();
    looks = Math.abs(now - seconds) < 0.02 ? looks + 1 : 0;
    seconds = now;
    return looks === 25 || undefined;
  });
  // Until the clients are found gone, two files are inspected. Each of them takes longer by itself.
  expect(cpuSecondsOf(server.process.pid!) - before).toBeLessThan(6);
});
