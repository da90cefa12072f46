import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { Spool } from '../../../../src/storage/blobs/s3/spool.js';
import { lockFolder } from '../../../../src/storage/folder-lock.js';
import { newRoot } from '../../../harness/mounting.js';

const signal = new AbortController().signal;
const bytesOf = (length: number) => Buffer.alloc(length, 'x');
const options = (bytes: number, accountId = 'a') => ({
  ...{ limit: { bytes, message: 'too much' }, atMostBytes: bytes },
  ...{ accountId, signal },
});

let folder: string;
beforeEach(async () => {
  folder = await newRoot();
});

async function openSpool(maxBytes: number): Promise<Spool> {
  const spool = await Spool.open(folder, maxBytes);
  onTestFinished(() => spool.close());
  return spool;
}

const foldersIn = async () =>
  (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);

test('opening a spool deletes the folders of ended processes, and keeps those of running ones; a closed spool leaves none', async () => {
  const running = await openSpool(100);
  const file = await running.receive(Readable.from([bytesOf(10)]), options(10));
  await mkdir(join(folder, 'ended'));
  await writeFile(join(folder, 'ended', 'leftover'), 'bytes');
  await mkdir(join(folder, 'locked'));
  const lock = lockFolder(join(folder, 'locked', 'in-use.lock'));
  await Promise.all(Array.from({ length: 4 }, () => openSpool(100)));
  expect(await foldersIn()).toHaveLength(6);
  expect(await foldersIn()).not.toContain('ended');
  expect((await stat(file.path)).size).toBe(10);
  lock.release();
  const last = await Spool.open(folder, 100);
  expect(await foldersIn()).not.toContain('locked');
  await last.close();
  expect(await foldersIn()).toHaveLength(5);
});

test('a body that fails while it waits for space rejects only its own upload', async () => {
  const spool = await openSpool(200);
  const first = await spool.receive(Readable.from([bytesOf(100)]), options(100));
  const body = new Readable({ read() {} });
  const waiting = spool.receive(body, options(10));
  body.destroy(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
  await first.discard();
  await expect(waiting).rejects.toMatchObject({ code: 'upload_cut_short' });
});

test('a file takes no more space than it has bytes, and the files of an account at most half of the spool', async () => {
  const spool = await openSpool(200);
  const receive = (bytes: number, { announced = bytes, account = 'a' } = {}) =>
    spool.receive(Readable.from([bytesOf(bytes)]), options(announced, account));
  await receive(10, { announced: 100 });
  const last = await receive(90);
  const waiting = receive(90);
  await receive(100, { account: 'b' });
  await last.discard();
  await waiting;
});
