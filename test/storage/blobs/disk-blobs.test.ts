import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { openDisk } from '../../harness/backends.js';

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
