import { spawnSync } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Api, put } from '../harness/api.js';
import { findingsOf } from '../harness/checking.js';
import { trainyard } from '../harness/command.js';
import { newRoot } from '../harness/mounting.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { newFolder } from '../harness/transferring.js';
import { isAlive } from './remains.js';
import { mountSmallDisk, type SmallDisk } from './small-disk.js';

let mounted: SmallDisk | { refusal: string };
let server: TestServer;
let api: Api;
let id: string;

beforeAll(async () => {
  mounted = await mountSmallDisk(24);
  if ('refusal' in mounted) return;
  server = await startServer({}, { dataFolder: join(mounted.folder, 'data') });
  api = await server.api();
  id = await api.newDataset();
  expect((await api.upload(id, 'first.txt', 'a caption')).status).toBe(200);
});

beforeEach(({ skip }) => {
  if ('refusal' in mounted) skip(mounted.refusal);
});

afterAll(async () => {
  if ('refusal' in mounted) return;
  expect([isAlive(server), await findingsOf(server)]).toEqual([true, []]);
  await discardServer(server);
  await mounted.unmount();
});

const ready = async () => (await fetch(`${server.url}/readyz`)).status;

/** Mounts a folder on itself, read-only, as a file system that has files open for writing can't be. */
async function whileReadOnly(folder: string, work: () => Promise<void>): Promise<void> {
  expect(spawnSync('mount', ['--bind', folder, folder]).status).toBe(0);
  try {
    spawnSync('mount', ['-o', 'remount,bind,ro', folder]);
    await work();
  } finally {
    spawnSync('umount', [folder]);
  }
}

test('a data folder that has vanished acknowledges nothing, and serves on when it is back', async () => {
  const link = await api.link(id, 'second.txt', 9);
  const aside = `${server.dataFolder}-aside`;
  await rename(server.dataFolder, aside);
  const writes = [
    await api.create(),
    await api.upload(id, 'third.txt', 'a caption'),
    await put(link, 'a caption'),
    await api.links(id, { 'fourth.txt': 5 }),
    await api.request('DELETE', `/${id}/files/first.txt`),
    await api.request('DELETE', `/${id}`),
  ];
  expect(writes.map(({ status }) => status)).toEqual(writes.map(() => 503));
  expect(await ready()).toBe(503);
  await rename(aside, server.dataFolder);
  expect(await ready()).toBe(200);
  expect((await api.status(id)).body).toMatchObject({ files: [{ filename: 'first.txt' }] });
  expect((await put(link, 'a caption')).status).toBe(200);
});

test('a disk that has become read-only is said to be, and /readyz notices', async () => {
  await whileReadOnly(server.dataFolder, async () => {
    const { status, body } = await api.upload(id, 'third.txt', 'a caption');
    expect(status).toBe(503);
    expect(body.error_message).toContain('read-only');
    expect(await ready()).toBe(503);
  });
  await eventually(async () => ((await ready()) === 200 ? true : undefined));
  expect((await api.upload(id, 'third.txt', 'a caption')).status).toBe(200);
});

test('a read-only backup is restored, and mounting from it says what to do', async () => {
  const dir = await newFolder();
  expect((await trainyard(['backup', dir, '--data', server.dataFolder])).code).toBe(0);
  await whileReadOnly(dir, async () => {
    expect((await trainyard(['restore', dir, '--data', await newFolder()])).code).toBe(0);
    const ended = await trainyard(['mount', id, '--data', dir, '--into', await newRoot()]);
    expect([ended.code, ended.stderr]).toEqual([78, expect.stringContaining(`${dir} can't be written`)]);
    expect(ended.stderr).toContain('copy the folder');
  });
});
