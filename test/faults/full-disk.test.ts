import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Api, put } from '../harness/api.js';
import { findingsOf } from '../harness/checking.js';
import { discardServer, eventually, NO_HISTORY, startServer, type TestServer } from '../harness/server.js';
import { captionPieces, contentOf } from './contents.js';
import { pourDirect, pourLink } from './pour.js';
import { directHead, formOf, putBytes, RawClient } from './raw-client.js';
import { faultsOf, isAlive, NOTHING_REMAINS, remainsIn, stagedBytes, stagedIn } from './remains.js';
import { mountSmallDisk, type SmallDisk } from './small-disk.js';

const MEGABYTE = 1_000_000;
const DISK_MEGABYTES = 50;
/** The folders of the blobs take 256. */
const INODES = 320;
/** Short leases, so that uploads that could not be ended in the catalog end soon. */
const SETTINGS = { ...NO_HISTORY, 'blob-grace-seconds': 0, 'lease-seconds': 4 };

let mounted: SmallDisk | { refusal: string };
let disk: SmallDisk;
let server: TestServer;
let api: Api;
let id: string;

beforeAll(async () => {
  mounted = await mountSmallDisk(DISK_MEGABYTES, { inodes: INODES });
  if ('refusal' in mounted) return;
  disk = mounted;
  server = await startServer(SETTINGS, { dataFolder: join(disk.folder, 'data') });
  api = await server.api();
});

beforeEach(async ({ skip }) => {
  if ('refusal' in mounted) return skip(mounted.refusal);
  id = await api.newDataset();
});

/** All is well, and the space is free again. */
afterEach(async () => {
  if ('refusal' in mounted) return;
  disk.release();
  await eventually(async () => ((await api.request('DELETE', `/${id}`)).status === 200 ? true : undefined));
  await expect.poll(() => remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
  // The background work reports the full disk, and goes on.
  const faults = faultsOf(server).filter((line) => !line.includes('it will be retried'));
  expect([isAlive(server), faults]).toEqual([true, []]);
});

afterAll(async () => {
  if ('refusal' in mounted) return;
  await discardServer(server);
  await mounted.unmount();
});

const caption = (megabytes: number) => Buffer.concat([...captionPieces(megabytes * MEGABYTE)]);

test('an upload larger than what is left is answered with 507 and leaves nothing, and its link can be used again', async () => {
  const before = disk.freeBytes();
  const direct = await pourDirect(api, id, 'large.txt', { bytes: 80 * MEGABYTE });
  expect(direct).toMatchObject({ status: 507, body: { error_code: 507001 } });
  // The catalog's journal may have grown a little.
  expect(disk.freeBytes()).toBeGreaterThan(before - MEGABYTE);
  expect((await api.status(id)).body).toMatchObject({ files: [], size_bytes: 0, counts: { pending: 0, rejected: 0 } });

  expect((await api.upload(id, 'blocking.txt', caption(30))).status).toBe(200);
  const url = await api.link(id, 'large.txt', 24 * MEGABYTE);
  const linked = await pourLink(url, 24 * MEGABYTE);
  expect(linked).toMatchObject({ status: 507, body: { error_code: 507001 } });
  expect(await api.filenames(id)).toEqual(['blocking.txt']);
  expect(stagedIn(server.dataFolder)).toEqual([]);
  // Without a history, cleanup frees the space of a removed file.
  expect((await api.request('DELETE', `/${id}/files/blocking.txt`)).status).toBe(200);
  await eventually(async () => ((await put(url, caption(24))).status === 200 ? true : undefined));
  expect(await api.filenames(id)).toEqual(['large.txt']);
});

test('concurrent uploads that do not all fit are stored or rejected with 507', { tags: ['long'] }, async () => {
  const bytes = caption(6);
  const names = Array.from({ length: 12 }, (_, i) => `part_${i}.txt`);
  const answers = await Promise.all(names.map((name) => api.upload(id, name, bytes)));
  const statuses = answers.map(({ status }) => status);
  expect(answers.filter(({ status }) => ![200, 507].includes(status))).toEqual([]);
  expect(statuses).toContain(507);
  expect(await api.filenames(id)).toEqual(names.filter((_, i) => statuses[i] === 200).toSorted());
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
});

test('on a full disk everything that writes is answered with 507, what reads goes on, and all is well afterwards', async () => {
  expect((await api.upload(id, 'before.jpg', contentOf('before.jpg', 'before'))).status).toBe(200);
  const url = await api.link(id, 'waiting.jpg', contentOf('waiting.jpg', 'waiting').length);
  disk.fill();

  // The catalog's journal has allocated space, so some writes still succeed.
  const links = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`reserved_${i}.jpg`, 1000]));
  const writes = [
    () => api.create(),
    () => api.links(id, links),
    () => api.upload(id, 'during.jpg', contentOf('during.jpg', 'during')),
    () => put(url, contentOf('waiting.jpg', 'waiting')),
  ];
  for (const write of writes) {
    let status = 200;
    for (let tries = 0; status === 200 && tries < 1000; tries++) ({ status } = await write());
    expect(status).toBe(507);
  }
  expect(await api.filenames(id)).toEqual(['before.jpg']);
  expect((await api.raw('GET', `/${id}/files/before.jpg`)).status).toBe(200);
  expect((await api.list()).status).toBe(200);

  disk.release();
  expect((await put(url, contentOf('waiting.jpg', 'waiting'))).status).toBe(200);
  expect((await api.upload(id, 'during.jpg', contentOf('during.jpg', 'during'))).status).toBe(200);
  expect(await api.filenames(id)).toEqual(['before.jpg', 'during.jpg', 'waiting.jpg']);
});

/** Small enough that its removal does not free the space for a row. */
const text = Buffer.from('a red wagon on a siding');

/** Fills the disk when all bytes but the `last` have arrived, sends those, and frees the space after the answer. */
async function sendOverFullDisk(first: Buffer, last: Buffer | string): Promise<number> {
  const client = await RawClient.open(server.url);
  await client.send(first);
  await eventually(() => (stagedBytes(server.dataFolder) >= text.length - 1 ? true : undefined));
  disk.fill();
  await client.send(last);
  const { status } = await eventually(() => client.answer());
  disk.release();
  await client.hangUp();
  return status;
}

test('a disk that is full when bytes have arrived and their row is to be written keeps nothing of them, and the name can be sent again', async () => {
  const url = await api.link(id, 'linked.txt', text.length);
  const linked = putBytes(url, text);
  expect(await sendOverFullDisk(linked.subarray(0, -1), linked.subarray(-1))).toBe(507);
  expect((await api.status(id)).body).toMatchObject({ files: [], size_bytes: 0, counts: { pending: 1, rejected: 0 } });
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
  await eventually(async () => ((await put(url, text)).status === 200 ? true : undefined));

  const { head, tail } = formOf('direct.txt');
  const first = [directHead(api, id, { 'Content-Length': head.length + text.length + tail.length }), head, text];
  expect(await sendOverFullDisk(Buffer.concat(first.map((part) => Buffer.from(part))), tail)).toBe(507);
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
  expect((await api.upload(id, 'direct.txt', text)).status).toBe(200);
  const files = [{ filename: 'direct.txt' }, { filename: 'linked.txt' }];
  await expect.poll(async () => (await api.status(id)).body).toMatchObject({ files, counts: { pending: 0 } });
});

test('a disk without inodes is a full disk, and serves on when there are some', async () => {
  const link = await api.link(id, 'linked.txt', 9);
  let count = 0;
  let status = 200;
  for (; status === 200; count++) ({ status } = await api.upload(id, `${count}.txt`, `caption ${count}`));
  expect(status).toBe(507);
  expect(count).toBeGreaterThan(10);
  // A blob needs a second inode for its name, so one is left.
  const filler = join(disk.folder, 'inode');
  await writeFile(filler, '');
  expect(await put(link, 'a caption')).toMatchObject({ status: 507, body: { error_code: 507001 } });
  expect((await fetch(`${server.url}/readyz`)).status).not.toBe(200);
  expect(await api.filenames(id)).toHaveLength(count - 1);
  expect(await (await api.raw('GET', `/${id}/files/0.txt`)).text()).toBe('caption 0');

  await rm(filler);
  for (const name of ['0.txt', '1.txt']) expect((await api.request('DELETE', `/${id}/files/${name}`)).status).toBe(200);
  await eventually(async () => ((await put(link, 'a caption')).status === 200 ? true : undefined));
  await eventually(async () => ((await api.upload(id, '1.txt', 'again')).status === 200 ? true : undefined));
  // The deletion of the dataset and the check after the tests need some.
  expect((await api.request('DELETE', `/${id}/files/2.txt`)).status).toBe(200);
  expect((await api.request('DELETE', `/${id}/files/3.txt`)).status).toBe(200);
});

test('verify --store finds nothing after that', async () => expect(await findingsOf(server)).toEqual([]));
