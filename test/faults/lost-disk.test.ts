import { spawnSync } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
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
let link: string;

beforeAll(async () => {
  mounted = await mountSmallDisk(24);
});

beforeEach(async ({ skip }) => {
  if ('refusal' in mounted) return skip(mounted.refusal);
  server = await startServer({}, { dataFolder: join(mounted.folder, 'data') });
  api = await server.api();
  id = await api.newDataset();
  expect((await api.upload(id, 'first.txt', 'a caption')).status).toBe(200);
  link = await api.link(id, 'second.txt', 9);
});

afterEach(async () => {
  expect([isAlive(server), await findingsOf(server)]).toEqual([true, []]);
  await discardServer(server);
});

afterAll(async () => {
  if (!('refusal' in mounted)) await mounted.unmount();
});

/** The statuses of one request of each kind that changes something. */
async function writes(): Promise<number[]> {
  return [
    (await api.create()).status,
    (await api.upload(id, 'third.txt', 'a caption')).status,
    (await put(link, 'a caption')).status,
    (await api.links(id, { 'fourth.txt': 5 })).status,
    (await api.request('DELETE', `/${id}/files/first.txt`)).status,
    (await api.request('DELETE', `/${id}`)).status,
  ];
}

const ready = async () => (await fetch(`${server.url}/readyz`)).status;
const NONE = [503, 503, 503, 503, 503, 503];

test('a data folder that has vanished acknowledges nothing, and serves on when it is back', async () => {
  const aside = `${server.dataFolder}-aside`;
  await rename(server.dataFolder, aside);
  expect(await writes()).toEqual(NONE);
  expect(await ready()).toBe(503);
  await rename(aside, server.dataFolder);
  expect(await ready()).toBe(200);
  expect((await api.status(id)).body).toMatchObject({ files: [{ filename: 'first.txt' }] });
  expect((await put(link, 'a caption')).status).toBe(200);
});

test('a disk that has become read-only is said to be, and /readyz notices', async ({ skip }) => {
  if ('refusal' in mounted) return skip(mounted.refusal);
  // The file system can't become read-only while files are open for writing; a mount of its folder on itself can.
  const bind = spawnSync('mount', ['--bind', server.dataFolder, server.dataFolder]);
  expect(bind.status).toBe(0);
  try {
    spawnSync('mount', ['-o', 'remount,bind,ro', server.dataFolder]);
    const { status, body } = await api.upload(id, 'third.txt', 'a caption');
    expect(status).toBe(503);
    expect(body.error_message).toContain('read-only');
    expect(await ready()).toBe(503);
  } finally {
    spawnSync('umount', [server.dataFolder]);
  }
  await eventually(async () => ((await ready()) === 200 ? true : undefined));
  expect((await api.upload(id, 'third.txt', 'a caption')).status).toBe(200);
});

test('a read-only backup is restored, and mounting from it says what to do', async ({ skip }) => {
  if ('refusal' in mounted) return skip(mounted.refusal);
  const dir = await newFolder();
  expect((await trainyard(['backup', dir, '--data', server.dataFolder])).code).toBe(0);
  expect(spawnSync('mount', ['--bind', dir, dir]).status).toBe(0);
  try {
    spawnSync('mount', ['-o', 'remount,bind,ro', dir]);
    expect((await trainyard(['restore', dir, '--data', await newFolder()])).code).toBe(0);
    const ended = await trainyard(['mount', id, '--data', dir, '--into', await newRoot()]);
    expect([ended.code, ended.stderr]).toEqual([78, expect.stringContaining(`${dir} can't be written`)]);
    expect(ended.stderr).toContain('copy the folder');
  } finally {
    spawnSync('umount', [dir]);
  }
});
