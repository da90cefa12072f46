import { mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { forEachConcurrent } from '../../src/for-each-concurrent.js';
import * as media from '../fixtures/media.js';
import { discardServer, startServer, temporaryFolder } from '../harness/server.js';
import { FAMILIES } from '../hostile/all.js';
import { faultsOfVerdict, sendPatiently, sendFile, type Verdict } from '../hostile/attack.js';
import { writeHostile } from '../hostile/hostile-file.js';
import { MemoryLoop } from '../hostile/observers.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

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

const folder = await temporaryFolder();
mkdirSync(join(folder, 'tmp'));
const server = await startServer({}, { env: { TMPDIR: join(folder, 'tmp') } });
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
  expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
  expect(faultsOf(server)).toEqual([]);
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
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
