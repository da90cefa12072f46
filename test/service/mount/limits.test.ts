import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { mountSmallDisk } from '../../faults/small-disk.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { trainyard } from '../../harness/command.js';
import { datasetOf, digestOfFolder, leaveLitter, mountedIn, newRoot } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';

const PAIRS = 1000;
const MAX_MEMORY_MB = 250;

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

const SOURCES = [
  ['from a service', () => []],
  ['from a data folder', () => ['--data', server.dataFolder]],
] as const;
const run = (args: readonly string[]) =>
  trainyard(args, { env: { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token } });

describe('a dataset of thousands of files', () => {
  let id: string;
  beforeAll(async () => {
    const image = await media.jpeg({ width: 64, height: 64 });
    id = await api.newDataset('many');
    const numbers = Array.from({ length: PAIRS }, (_, i) => i).values();
    const worker = async () => {
      for (const i of numbers) {
        await api.upload(id, `${i}.jpg`, image);
        await api.upload(id, `${i}.txt`, `caption ${i}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  });

  test.each(SOURCES)('is mounted %s, in little memory', async (_, sourceArgs) => {
    const root = await newRoot();
    const probe = ['--exec', 'sh', '-c', 'grep VmHWM /proc/$PPID/status'];
    const ended = await run(['mount', 'many', '--into', root, ...sourceArgs(), ...probe]);
    expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining('2,000 files')]);
    const items = trainerWalk(join(root, 'many'));
    expect(items).toHaveLength(PAIRS);
    for (const { path, caption } of items) expect(caption).toBe(`caption ${path.split('.')[0]}`);
    expect(await digestOfFolder(join(root, 'many'))).toBe((await api.manifest(id)).body.digest);
    expect(Number(/VmHWM:\s+(\d+) kB/.exec(ended.stdout)?.[1]) / 1024).toBeLessThan(MAX_MEMORY_MB);
  });
});

describe.each(SOURCES)('on a disk that is too small, %s', (_, sourceArgs) => {
  test('a mount fails with a message, leaves no files, and keeps the mounted folder', async ({ skip }) => {
    const disk = await mountSmallDisk(2);
    if ('refusal' in disk) {
      if (process.env.CI === 'true') throw new Error(disk.refusal);
      return skip(disk.refusal);
    }
    onTestFinished(() => disk.unmount());
    const name = `small ${sourceArgs().length}`;
    const id = await datasetOf(api, { 'a.jpg': await media.jpeg({ seed: 1 }), 'a.txt': 'a' }, name);
    expect((await run(['mount', name, '--into', disk.folder, ...sourceArgs()])).code).toBe(0);
    await leaveLitter(join(disk.folder, name));
    const before = await readdir(disk.folder, { recursive: true });
    for (const seed of [2, 3, 4]) {
      await api.upload(id, `${seed}.png`, await media.png({ width: 600, height: 600, seed }));
      await api.upload(id, `${seed}.txt`, 'large');
    }
    const ended = await run(['mount', name, '--into', disk.folder, ...sourceArgs()]);
    expect([ended.code, ended.stderr]).toEqual([74, expect.stringContaining('does not fit')]);
    expect(await mountedIn(disk.folder)).toEqual([name]);
    expect(await readdir(disk.folder, { recursive: true })).toEqual(before);
    expect(trainerWalk(join(disk.folder, name))).toHaveLength(1);
  });
});
