import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendFile } from '../hostile/attack.js';
import { FAMILIES } from '../hostile/all.js';
import { writeHostile } from '../hostile/hostile-file.js';
import { MemoryLoop } from '../hostile/observers.js';
import { discardServer, startServer, temporaryFolder, type TestServer } from '../harness/server.js';
import { faultsOf } from './remains.js';

const MAX_MEGABYTES = 500;
const ROUNDS = 3;

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

test('files that need the most memory, inspected at once, stay within that of the service', async () => {
  const api = await server.api();
  const id = await api.newDataset();
  const names = ['references-4k.mp4', 'sizes-by-turns.mp4', 'lossless-within-the-decoder-budget.webp'];
  const files = Object.values(FAMILIES).flatMap((family) => family.filter(({ filename }) => names.includes(filename)));
  expect(files).toHaveLength(names.length);
  const paths = await Promise.all(files.map((file) => writeHostile(folder, file)));
  const memory = new MemoryLoop(server.process.pid!);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const sent = files.flatMap(({ filename }, i) =>
        [0, 1].map((copy) => sendFile(server, { api, id, filename: `${round}-${copy}-${filename}` }, paths[i]!)),
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
