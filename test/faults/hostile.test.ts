import { mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { forEachConcurrent } from '../../src/for-each-concurrent.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { trainyard } from '../harness/command.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { FAMILIES } from '../hostile/all.js';
import { faultsOfVerdict, sendPatiently, sendFile, type Verdict } from '../hostile/attack.js';
import { writeHostile } from '../hostile/hostile-file.js';
import { cpuSecondsOf, descendantsOf, MemoryLoop } from '../hostile/observers.js';
import { faultsOf, NOTHING_REMAINS, remainsIn, stagedIn } from './remains.js';

const MAX_MEGABYTES = 500;

/** Of each family one or two files; `npm run hostile` sends all. */
const SOME = [
  ...[
    'ordered-scans-of-the-largest.jpg',
    'many-scans-of-one-block.jpg',
    'zeros-interlaced.png',
    'text-of-gigabytes.png',
  ],
  ...['lossless-largest.webp', 'loop-of-directories.tif', 'canvas-largest.gif', 'runs.bmp', 'grids-of-grids.avif'],
  ...['empty-extents.avif', 'times-of-billions.mp4', 'nested-boxes.mp4', 'duration-infinite.mkv', 'playlist.mp4'],
  'nul-bytes.txt',
];

let folder: string;
let environment: { TMPDIR: string };
let server: TestServer;
beforeAll(async () => {
  folder = await temporaryFolder();
  environment = { TMPDIR: join(folder, 'tmp') };
  mkdirSync(environment.TMPDIR);
  server = await startServer({}, { env: environment });
});
afterAll(async () => {
  await discardServer(server);
  await rm(folder, { recursive: true });
});

/** Writes hostile files, and returns their names and paths. */
function written(names: readonly string[], to = folder): Promise<[filename: string, path: string][]> {
  const all = Object.values(FAMILIES).flat();
  return Promise.all(
    names.map(async (name) => [name, await writeHostile(to, all.find(({ filename }) => filename === name)!)]),
  );
}

test('each hostile file gets its verdict and costs only itself', async () => {
  const [attacker, neighbour] = [await server.api('attacker'), await server.api('neighbour')];
  const [id, own] = [await attacker.newDataset(), await neighbour.newDataset()];
  const picture = await media.jpeg({ width: 900, height: 700, quality: 90 });
  const memory = new MemoryLoop(server.process.pid!);
  const verdicts: Verdict[] = [];
  try {
    await forEachConcurrent(await written(SOME), 2, async ([filename, path]) => {
      verdicts.push(await sendPatiently(server, { api: attacker, id, filename }, path));
      expect((await neighbour.upload(own, filename.replace(/\.\w+$/, '.jpg'), picture)).status).toBe(200);
    });
    expect(memory.take()).toBeLessThan(MAX_MEGABYTES);
  } finally {
    memory.stop();
  }
  expect(verdicts.flatMap(faultsOfVerdict)).toEqual([]);
  const statuses = new Set(verdicts.map(({ status }) => status));
  expect(statuses).toEqual(new Set([200, 422]));
  expect(readdirSync(environment.TMPDIR)).toEqual([]);
  expect(faultsOf(server)).toEqual([]);
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
});

test('trainyard check of a folder with all of them ends, with a verdict for each', async () => {
  const all = join(folder, 'all');
  mkdirSync(all);
  await written(SOME, all);
  const { code, json, stderr } = await trainyard(['check', all, '--json'], { env: environment });
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  const { files, errors, unreadable } = json() as {
    files: { filename: string; content_type?: string }[];
    errors: { filename?: string }[];
    unreadable: unknown[];
  };
  expect(unreadable).toEqual([]);
  expect(files.map(({ filename }) => filename).sort()).toEqual(SOME.toSorted());
  const refused = new Set(errors.map(({ filename }) => filename));
  expect(files.filter((file) => file.content_type === undefined && !refused.has(file.filename))).toEqual([]);
  expect(readdirSync(environment.TMPDIR)).toEqual([]);
});

test('files that need the most memory, inspected at once, stay within that of the service', {
  tags: ['long'],
}, async () => {
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
  ...['ordered-scans-of-the-largest.jpg', 'restart-after-each-block.jpg', 'zeros-interlaced.png'],
  ...['frames-of-one-pixel.webp', 'weightless-extents.avif', 'compositions.mp4', 'copies-8k.mp4'],
  'voids-in-a-cluster.mkv',
];
const CONNECTIONS = 16;
/** Limits are compared with processor time, not with the clock: other work on the machine makes every file wait. */
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

test("an account's picture waits at most for one budget while another sends the slowest files, which leave nothing when it hangs up", {
  tags: ['long'],
}, async () => {
  const [attacker, neighbour] = [await server.api('attacker'), await server.api('neighbour')];
  const files = await written(SLOWEST);
  const id = await attacker.newDataset();
  const idle = await secondsUsedDuring(neighbour, 20);
  const over = new AbortController();
  const before = busySeconds();
  const connections = Array.from({ length: CONNECTIONS }, async (_, connection) => {
    for (let round = 0; !over.signal.aborted; round++) {
      const [filename, path] = files[(connection + round) % files.length]!;
      const to = { api: attacker, id, filename: `${connection}_${round}_${filename}` };
      await sendFile(server, to, path, over.signal).catch(() => {});
    }
  });
  await eventually(() => busySeconds() > before + 1 || undefined);
  expect(await secondsUsedDuring(neighbour, 10)).toBeLessThan(3 * idle + SLOTS * INLINE_SECONDS + RECEIVING_SECONDS);
  over.abort();
  await Promise.all(connections);
  await eventually(() => stagedIn(server.dataFolder).length === 0 || undefined);
});
