import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { Spool, type SpoolFile } from '../../../../src/storage/blobs/s3/spool.js';
import { lockFolder } from '../../../../src/storage/folder-lock.js';
import { eventually, temporaryFolder } from '../../../harness/server.js';

const signal = new AbortController().signal;
const bytesOf = (length: number) => Buffer.alloc(length, 'x');
const options = (bytes: number) => ({ limit: { bytes, message: 'too much' }, atMostBytes: bytes, signal });

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});

async function openSpool(maxBytes: number): Promise<Spool> {
  const spool = await Spool.open(folder, maxBytes);
  onTestFinished(() => spool.close());
  return spool;
}

const foldersIn = async () =>
  (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);

/** A body that tells whether anybody has begun to read it. */
function watched(length: number): { body: Readable; isRead: () => boolean } {
  let isRead = false;
  const body = new Readable({
    read() {
      isRead = true;
      this.push(bytesOf(length));
      this.push(null);
    },
  });
  return { body, isRead: () => isRead };
}

test('what a process that is no more has left is removed, and what a living one has is not', async () => {
  const living = await openSpool(100);
  const kept = await living.receive(Readable.from([bytesOf(10)]), options(10));
  await mkdir(join(folder, 'dead'));
  await writeFile(join(folder, 'dead', 'litter'), 'bytes');
  await mkdir(join(folder, 'held'));
  const held = lockFolder(join(folder, 'held', 'in-use.lock'));
  await Promise.all(Array.from({ length: 4 }, () => openSpool(100)));
  expect(await foldersIn()).toHaveLength(6);
  expect(await foldersIn()).not.toContain('dead');
  expect((await stat(kept.path)).size).toBe(10);
  held.release();
  await openSpool(100);
  expect(await foldersIn()).not.toContain('held');
});

test('a closed spool leaves nothing', async () => {
  const spool = await Spool.open(folder, 100);
  await spool.receive(Readable.from([bytesOf(10)]), options(10));
  await spool.close();
  expect(await foldersIn()).toEqual([]);
});

test('a body is not read until the budget has space, and releases its permit at the end', async () => {
  const spool = await openSpool(100);
  const first = await spool.receive(Readable.from([bytesOf(60)]), options(60));
  const { body, isRead } = watched(50);
  const second = spool.receive(body, options(50));
  // There is room for this one, but those that came before it have their turn first.
  const third = watched(40);
  const overtaking = spool.receive(third.body, options(40));
  expect([isRead(), third.isRead()]).toEqual([false, false]);
  await first.remove();
  const files: SpoolFile[] = await Promise.all([second, overtaking]);
  expect(files.map(({ sizeBytes }) => sizeBytes)).toEqual([50, 40]);
  for (const file of files) await file.remove();
  await (await spool.receive(Readable.from([bytesOf(100)]), options(100))).remove();
});

test('what turns out smaller than announced takes no more room than it needs', async () => {
  const spool = await openSpool(100);
  const small = await spool.receive(Readable.from([bytesOf(1)]), options(100));
  const next = await spool.receive(Readable.from([bytesOf(99)]), options(99));
  await Promise.all([small.remove(), next.remove()]);
});

test('an aborted wait lets the next waiter in, and a failed body releases its permit', async () => {
  const spool = await openSpool(100);
  const first = await spool.receive(Readable.from([bytesOf(60)]), options(60));
  const abort = new AbortController();
  const impatient = spool.receive(watched(90).body, { ...options(90), signal: abort.signal });
  const waiting = spool.receive(watched(30).body, options(30));
  abort.abort(new Error('enough'));
  await expect(impatient).rejects.toThrow('enough');
  const second = await waiting;
  await Promise.all([first.remove(), second.remove()]);
  await expect(spool.receive(Readable.from([bytesOf(101)]), options(100))).rejects.toMatchObject({ code: 'too_large' });
  const all = await spool.receive(Readable.from([bytesOf(100)]), options(100));
  await all.remove();
  await eventually(async () => ((await readdir(join(folder, (await foldersIn())[0]!))).length <= 2 ? true : undefined));
});

test('a body that breaks off while it waits ends nothing but itself', async () => {
  const spool = await openSpool(100);
  const first = await spool.receive(Readable.from([bytesOf(100)]), options(100));
  const { body } = watched(10);
  const waiting = spool.receive(body, options(10));
  body.destroy(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
  await first.remove();
  await expect(waiting).rejects.toMatchObject({ code: 'upload_cut_short' });
});
