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
/** Short leases, so that uploads that could not be ended in the catalog end soon. */
const SETTINGS = { ...NO_HISTORY, 'blob-grace-seconds': 0, 'lease-seconds': 4 };

let mounted: SmallDisk | { refusal: string };
let disk: SmallDisk;
let server: TestServer;
let api: Api;

beforeAll(async () => {
  mounted = await mountSmallDisk(DISK_MEGABYTES);
});

beforeEach(async ({ skip }) => {
  if ('refusal' in mounted) return skip(mounted.refusal);
  disk = mounted;
  server = await startServer(SETTINGS, { dataFolder: join(disk.folder, 'data') });
  api = await server.api();
});

afterEach(async () => {
  if ('refusal' in mounted) return;
  disk.release();
  // The background work reports the full disk, and goes on.
  const faults = faultsOf(server).filter((line) => !line.includes('it will be retried'));
  const end = { isAlive: isAlive(server), faults, findings: await findingsOf(server) };
  await discardServer(server);
  expect(end).toEqual({ isAlive: true, faults: [], findings: [] });
});

afterAll(async () => {
  if (!('refusal' in mounted)) await mounted.unmount();
});

const caption = (megabytes: number) => Buffer.concat([...captionPieces(megabytes * MEGABYTE)]);

async function expectEmpty(id: string, counts: { pending: number }): Promise<void> {
  const { body } = await api.status(id);
  expect(body).toMatchObject({ files: [], size_bytes: 0, counts: { ...counts, rejected: 0 } });
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
}

test('a direct upload larger than what is left is answered with 507 and leaves nothing', async () => {
  const id = await api.newDataset();
  const before = disk.freeBytes();
  const bytes = 80 * MEGABYTE;
  const { status, body } = await pourDirect(api, id, 'large.txt', { bytes });
  expect({ status, code: body.error_code }).toEqual({ status: 507, code: 507001 });
  await expectEmpty(id, { pending: 0 });
  // The catalog's journal may have grown a little.
  expect(disk.freeBytes()).toBeGreaterThan(before - MEGABYTE);
  expect((await api.upload(id, 'small.txt', 'a red wagon')).status).toBe(200);
});

test('a PUT larger than what is left is answered with 507, and its link can be used again', async () => {
  const id = await api.newDataset();
  const [blocking, bytes] = [caption(30), 24 * MEGABYTE];
  expect((await api.upload(id, 'blocking.txt', blocking)).status).toBe(200);
  const url = await api.link(id, 'large.txt', bytes);
  const { status, body } = await pourLink(url, bytes);
  expect({ status, code: body.error_code }).toEqual({ status: 507, code: 507001 });
  expect(await api.filenames(id)).toEqual(['blocking.txt']);
  expect(stagedIn(server.dataFolder)).toEqual([]);

  // Without a history, cleanup frees the space of a removed file.
  expect((await api.request('DELETE', `/${id}/files/blocking.txt`)).status).toBe(200);
  await eventually(async () => ((await put(url, caption(24))).status === 200 ? true : undefined));
  expect(await api.filenames(id)).toEqual(['large.txt']);
  await expect.poll(() => remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
});

test('concurrent uploads that do not all fit are each stored whole or rejected with 507', async () => {
  const id = await api.newDataset();
  const bytes = caption(6);
  const names = Array.from({ length: 12 }, (_, i) => `part_${i}.txt`);
  const answers = await Promise.all(names.map((name) => api.upload(id, name, bytes)));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => ![200, 507].includes(status))).toEqual([]);
  expect(statuses).toContain(507);
  expect(await api.filenames(id)).toEqual(names.filter((_, i) => statuses[i] === 200).toSorted());
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
});

test('on a full disk everything that writes is answered with 507, what reads goes on, and all is well afterwards', async () => {
  const id = await api.newDataset();
  expect((await api.upload(id, 'before.jpg', contentOf('before.jpg', 'before'))).status).toBe(200);
  const url = await api.link(id, 'waiting.jpg', contentOf('waiting.jpg', 'waiting').length);
  disk.fill();

  // The catalog's journal has allocated space, so some writes still succeed.
  const writes = [
    () => api.create(),
    () => api.links(id, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`promised_${i}.jpg`, 1000]))),
    () => api.upload(id, 'during.jpg', contentOf('during.jpg', 'during')),
    () => put(url, contentOf('waiting.jpg', 'waiting')),
  ];
  for (const write of writes) {
    let status = 200;
    for (let tries = 0; status === 200 && tries < 1000; tries++) ({ status } = await write());
    expect(status).toBe(507);
  }
  const names = await api.filenames(id);
  expect(names).toEqual(['before.jpg']);
  expect((await api.raw('GET', `/${id}/files/before.jpg`)).status).toBe(200);
  expect((await api.list()).status).toBe(200);

  disk.release();
  expect((await put(url, contentOf('waiting.jpg', 'waiting'))).status).toBe(200);
  expect((await api.upload(id, 'during.jpg', contentOf('during.jpg', 'during'))).status).toBe(200);
  expect(await api.filenames(id)).toEqual(['before.jpg', 'during.jpg', 'waiting.jpg']);
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
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
  const id = await api.newDataset();
  const url = await api.link(id, 'linked.txt', text.length);
  const linked = putBytes(url, text);
  expect(await sendOverFullDisk(linked.subarray(0, -1), linked.subarray(-1))).toBe(507);
  await expectEmpty(id, { pending: 1 });
  await eventually(async () => ((await put(url, text)).status === 200 ? true : undefined));

  const { head, tail } = formOf('direct.txt');
  const first = [directHead(api, id, { 'Content-Length': head.length + text.length + tail.length }), head, text];
  expect(await sendOverFullDisk(Buffer.concat(first.map((part) => Buffer.from(part))), tail)).toBe(507);
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);
  expect((await api.upload(id, 'direct.txt', text)).status).toBe(200);
  const files = [{ filename: 'direct.txt' }, { filename: 'linked.txt' }];
  await expect.poll(async () => (await api.status(id)).body).toMatchObject({ files, counts: { pending: 0 } });
});
