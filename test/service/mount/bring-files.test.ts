import { createHash } from 'node:crypto';
import { link, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bringFiles, requireSpace } from '../../../src/service/mount/bring-files.js';
import type { LocalSource, MountFile, PlacedFile, RemoteSource } from '../../../src/service/mount/mount-source.js';
import { newRoot } from '../../harness/mounting.js';

const TEXT = 'a train';
const file: PlacedFile = {
  filename: 'b.txt',
  sizeBytes: TEXT.length,
  sha256: createHash('sha256').update(TEXT).digest('hex'),
  mountedName: 'b.txt',
};
const { signal } = new AbortController();
const options = { concurrency: 1, signal, onBytes: () => {}, onFile: () => {} };

/** Reads the text, and remembers from which bytes. */
function remoteSource() {
  const from: number[] = [];
  const read = async (_: MountFile, start: number) => {
    from.push(start);
    return { from: start, body: [Buffer.from(TEXT).subarray(start)] as never };
  };
  const source = { ...({ kind: 'remote', name: 'http://service' } as RemoteSource), read };
  return { from, source };
}

test.each([
  ['a part', 'a tr', [4]],
  ['other bytes', 'a tree and more', [0]],
])('a file over HTTP continues after %s of an earlier attempt', async (_, earlier, expected) => {
  const folder = await newRoot();
  await writeFile(join(folder, 'b.txt'), earlier);
  const { from, source } = remoteSource();
  await bringFiles(folder, [file], { ...options, source });
  expect([from, await readFile(join(folder, 'b.txt'), 'utf8')]).toEqual([expected, TEXT]);
});

test.each(['remote', 'local'])(
  'a file that an earlier mount hard-linked stays as it is when it is %s',
  async (kind) => {
    for (const older of ['a t', 'a train of another kind']) {
      const [folder, store] = [await newRoot(), await newRoot()];
      await writeFile(join(store, 'stored'), older);
      await writeFile(join(store, 'b.txt'), TEXT, { mode: 0o600 });
      await link(join(store, 'stored'), join(folder, 'b.txt'));
      const local = { ...({ kind: 'local', name: store } as LocalSource), pathOf: () => join(store, 'b.txt') };
      await bringFiles(folder, [file], { ...options, source: kind === 'local' ? local : remoteSource().source });
      expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe(TEXT);
      expect(await readFile(join(store, 'stored'), 'utf8')).toBe(older);
      // A stored file is readable for its owner alone.
      expect((await stat(join(folder, 'b.txt'))).mode & 0o777).toBe(0o666 & ~process.umask());
    }
  },
);

test('files that are larger than the free space are rejected with both numbers', async () => {
  const folder = await newRoot();
  await expect(requireSpace(folder, [{ folder, files: [{ ...file, sizeBytes: 2 ** 52 }] }])).rejects.toMatchObject({
    code: 'no_space',
    message: expect.stringMatching(/it needs [\d,]+ MB more, and [\d,]+ MB are free/),
  });
  await requireSpace(folder, [{ folder, files: [file] }]);
});
