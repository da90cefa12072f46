import { setMaxListeners } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { FAMILIES } from '../hostile/all.js';
import { sendFile } from '../hostile/attack.js';
import { writeHostile } from '../hostile/hostile-file.js';
import { cpuSecondsOf, descendantsOf } from '../hostile/observers.js';
import { stagedIn } from './remains.js';

const CONNECTIONS = 16;
/** Of each format the file that takes a reader longest. */
const WORST = [
  'ordered-scans-of-the-largest.jpg',
  'zeros-interlaced.png',
  'frames-of-one-pixel.webp',
  'weightless-extents.avif',
  'compositions.mp4',
  'copies-8k.mp4',
  'voids-in-a-cluster.mkv',
  'restart-after-each-block.jpg',
];
const files = Object.values(FAMILIES).flat();
const IDLE_UPLOADS = 20;
const UPLOADS = 10;
/**
 * The limit is compared with processor time, not with the clock: other work on the machine makes every file wait. While a
 * picture waits, each slot may be used for as long as a client waits for another file.
 */
const SLOTS = Math.max(2, availableParallelism());
/** After so much processor time, a file is answered and inspected later. */
const INLINE_SECONDS = 4;
/** For receiving the attacker's files on all connections meanwhile. */
const RECEIVING_SECONDS = 5;
/** A stop gives each inspection this long. */
const STOP_SECONDS = 5;

let folder: string;
/** Paths of the worst files, by name. */
const worst: [filename: string, path: string][] = [];
let picture: Buffer;
let server: TestServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-'));
  for (const name of WORST) {
    worst.push([name, await writeHostile(folder, files.find(({ filename }) => filename === name)!)]);
  }
  picture = await media.jpeg({ width: 900, height: 700, quality: 90 });
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(async () => {
  server = await startServer();
});
afterEach(() => discardServer(server));

/** Sends the worst file again and again, on each of many connections, until the signal aborts. */
async function attack(api: Api, signal: AbortSignal): Promise<{ ended: Promise<unknown> }> {
  setMaxListeners(CONNECTIONS + 1, signal);
  const id = await api.newDataset();
  const connections = Array.from({ length: CONNECTIONS }, async (_, connection) => {
    for (let round = 0; !signal.aborted; round++) {
      const [filename, path] = worst[(connection + round) % worst.length]!;
      const to = { api, id, filename: `${connection}_${round}_${filename}` };
      await sendFile(server, to, path, signal).catch(() => {});
    }
  });
  await eventually(() => busySeconds() > 1 || undefined);
  return { ended: Promise.all(connections) };
}

/** Processor time of all processes below the server that are running. */
function busySeconds(): number {
  return descendantsOf(server.process.pid!).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** The processor time that the server and its processes use until each of so many pictures is answered. */
async function secondsUsedDuring(api: Api, uploads: number): Promise<number[]> {
  const id = await api.newDataset();
  const seconds: number[] = [];
  for (let index = 0; index < uploads; index++) {
    const before = cpuSecondsOf(server.process.pid!);
    expect((await api.upload(id, `ordinary_${index}.jpg`, picture)).status).toBe(200);
    seconds.push(cpuSecondsOf(server.process.pid!) - before);
  }
  return seconds;
}

test("an account's picture waits at most for one budget while another account sends the worst files", async () => {
  const [attacker, neighbour] = [await server.api('attacker'), await server.api('neighbour')];
  const idle = Math.max(...(await secondsUsedDuring(neighbour, IDLE_UPLOADS)));
  const over = new AbortController();
  const { ended } = await attack(attacker, over.signal);
  const used = Math.max(...(await secondsUsedDuring(neighbour, UPLOADS)));
  over.abort();
  await ended;
  expect(used).toBeLessThan(3 * idle + SLOTS * INLINE_SECONDS + RECEIVING_SECONDS);
}, 600_000);

test('when their client hangs up, uploads stop to use the processor, and leave nothing', async () => {
  const over = new AbortController();
  const { ended } = await attack(await server.api(), over.signal);
  over.abort();
  await ended;
  const before = cpuSecondsOf(server.process.pid!);
  await eventually(() => stagedIn(server.dataFolder).length === 0 || undefined);
  await eventually(async () => {
    const secondsBefore = busySeconds();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return Math.abs(busySeconds() - secondsBefore) < 0.1 || undefined;
  });
  // Until the clients are found gone, two files are inspected. Each of them takes longer by itself.
  expect(cpuSecondsOf(server.process.pid!) - before).toBeLessThan(6);
});

test('SIGTERM does not wait for a decoder', async () => {
  const over = new AbortController();
  const { ended } = await attack(await server.api(), over.signal);
  const below = descendantsOf(server.process.pid!).map(({ pid }) => pid);
  expect(below.length).toBeGreaterThan(0);
  const { pid } = server.process;
  const before = cpuSecondsOf(pid!);
  let used = 0;
  const timer = setInterval(() => (used = Math.max(used, cpuSecondsOf(pid!) - before)), 50);
  expect(await server.stop()).toBe(0);
  clearInterval(timer);
  over.abort();
  await ended;
  expect(used).toBeLessThan(SLOTS * STOP_SECONDS + 2);
  await eventually(() => !below.some(isRunning) || undefined);
});

test('a server that is killed leaves no process at work', async () => {
  const over = new AbortController();
  const { ended } = await attack(await server.api(), over.signal);
  const below = descendantsOf(server.process.pid!).map(({ pid }) => pid);
  await server.stop('SIGKILL');
  over.abort();
  await ended;
  await eventually(() => !below.some(isRunning) || undefined);
});
