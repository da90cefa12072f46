import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { openDisk } from '../../harness/backends.js';

const MIB = 1024 * 1024;

test('the more files are read at once, the smaller are the pieces of the next one, until some end', async () => {
  const { blobs } = await openDisk();
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

test('a folder in place of a blob stays, and the blobs after it are deleted', async () => {
  const { folder, blobs } = await openDisk();
  const other = join(blobs.pathOf('d/aa11'), 'other.txt');
  await mkdir(dirname(other));
  await writeFile(other, 'not of the service');
  await writeFile(blobs.pathOf('d/aa22'), 'a dog');
  await blobs.delete(['d/aa11', 'd/aa22']);
  expect(await readdir(join(folder, 'aa'))).toEqual(['aa11']);
  expect(await readdir(dirname(other))).toEqual(['other.txt']);
});
