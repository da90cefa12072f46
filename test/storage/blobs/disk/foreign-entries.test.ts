import { execFileSync } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { BlobDamaged } from '../../../../src/storage/blobs/blobs.js';
import { DiskInventory } from '../../../../src/storage/blobs/disk/disk-inventory.js';
import { openDisk } from '../../../harness/backends.js';

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

test('a pipe in place of a blob is damage, which reading it does not wait for', async () => {
  const { blobs } = await openDisk();
  execFileSync('mkfifo', [blobs.pathOf('d/aa11')]);
  const limit = { bytes: 10, message: 'too large' };
  const { signal } = new AbortController();
  await expect(blobs.read('d/aa11')).rejects.toThrow(BlobDamaged);
  await expect(blobs.fetch('d/aa11', { limit, signal })).rejects.toThrow(BlobDamaged);
});

test('links that lead nowhere are foreign, and links to files are blobs', async () => {
  const { folder, blobs } = await openDisk();
  const [file, linked] = ['a'.repeat(32), `aa${'b'.repeat(30)}`];
  await writeFile(blobs.pathOf(file), 'a dog');
  await symlink(blobs.pathOf(file), blobs.pathOf(linked));
  for (const name of ['loop', 'aa/loop']) await symlink('loop', join(folder, name));
  await symlink('nothing', join(folder, 'aa', 'nowhere'));
  const found: string[] = [];
  for await (const page of new DiskInventory(folder).objects()) {
    for (const { kind, name } of page) found.push(`${kind} ${name}`);
  }
  expect(found).toEqual([
    `blob aa/${file}`,
    `blob aa/${linked}`,
    'foreign aa/loop',
    'foreign aa/nowhere',
    'foreign loop',
  ]);
});
