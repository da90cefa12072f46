import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { DiskBlobs } from '../../../../src/storage/blobs/disk/disk-blobs.js';
import { temporaryFolder } from '../../../harness/server.js';

const MIB = 1024 * 1024;

test('the more files are read at once, the smaller are the pieces of the next one, until some end', async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true }));
  const blobs = await DiskBlobs.open(folder);
  onTestFinished(() => blobs.close());
  const limit = { bytes: 10, message: 'too large' };
  const { signal } = new AbortController();
  const staged = await blobs.stage(Readable.from([Buffer.from('a wagon')]), { key: 'd/00', limit, signal });
  await staged.commit();
  const open = async () => (await blobs.read('d/00'))!;
  const readers = [];
  for (let i = 0; i < 1000; i++) readers.push(await open());
  const sizes = readers.map(({ readableHighWaterMark }) => readableHighWaterMark);
  expect([sizes[0], sizes.at(-1)! < 40 * 1024]).toEqual([192 * 1024, true]);
  // Of each, one piece is read ahead and one is being sent.
  expect(2 * sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(192 * MIB);
  await Promise.all(readers.map((reader) => once(reader.destroy(), 'close')));
  const next = await open();
  expect(next.readableHighWaterMark).toBe(192 * 1024);
  expect(await next.toArray()).toEqual([Buffer.from('a wagon')]);
});
