import { link, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bringFiles, requireSpace } from '../../../src/service/mount/bring-files.js';
import type { LocalSource, PlacedFile, RemoteSource } from '../../../src/service/mount/mount-source.js';
import { newRoot } from '../../harness/mounting.js';
import { sha256 } from '../../harness/sha256.js';

const TEXT = 'a train';
const uploadOf = (bytes: Buffer | string) => {
  return { sizeBytes: bytes.length, sha256: sha256(bytes) };
};
const file: PlacedFile = { filename: 'b.txt', upload: uploadOf(TEXT), mountedName: 'b.txt' };
const { signal } = new AbortController();
const options = { concurrency: 1, signal, onBytes: () => {}, onFile: () => {} };

/** Reads the text from any byte on. */
const remoteSource = {
  ...({ kind: 'remote', name: 'http://service' } as RemoteSource),
  read: async (_: unknown, start: number) => ({ from: start, body: [Buffer.from(TEXT).subarray(start)] as never }),
};

test.each(['a t', 'a train of another kind'])(
  'a stored file %j that an earlier mount hard-linked is not written to',
  async (older) => {
    const [folder, store] = [await newRoot(), await newRoot()];
    await writeFile(join(store, 'stored'), older);
    await link(join(store, 'stored'), join(folder, 'b.txt'));
    await bringFiles(folder, [file], { ...options, source: remoteSource });
    expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe(TEXT);
    expect(await readFile(join(store, 'stored'), 'utf8')).toBe(older);
  },
);

/** Stores bytes, readable for their owner alone. */
async function localFile(bytes: Buffer | string) {
  const store = await newRoot();
  await writeFile(join(store, 'b.txt'), bytes, { mode: 0o600 });
  const source = { ...({ kind: 'local', name: store } as LocalSource), pathOf: () => join(store, 'b.txt') };
  return { source, file: { ...file, upload: uploadOf(bytes) } };
}

// A file system that ignores case finds the file of the other name.
test.each([false, true])(
  'a local file does not overwrite one whose name differs in case, hard-linked: %s',
  async (isHardLinked) => {
    const folder = await newRoot();
    const { source, file: caption } = await localFile(TEXT);
    const image = { ...caption, filename: 'b.jpg' };
    await bringFiles(folder, [image], { ...options, source, isHardLinked });
    const again = bringFiles(folder, [image], { ...options, source, isHardLinked });
    await expect(again).rejects.toMatchObject({
      code: 'cannot_write',
      message: expect.stringContaining('"b.jpg" and another name differ in their case alone'),
    });
    expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe(TEXT);
  },
);

test('all users can read a local copy, as the umask allows; a large one is copied in parts, and ends with the signal', async () => {
  const bytes = Buffer.alloc(9_000_000, 'train');
  const { source, file } = await localFile(bytes);
  const folder = await newRoot();
  const reported: number[] = [];
  await bringFiles(folder, [file], { ...options, source, onBytes: (count) => void reported.push(count) });
  expect((await readFile(join(folder, 'b.txt'))).equals(bytes)).toBe(true);
  expect((await stat(join(folder, 'b.txt'))).mode & 0o777).toBe(0o666 & ~process.umask());
  expect(reported.reduce((sum, count) => sum + count, 0)).toBe(bytes.length);
  expect(Math.max(...reported)).toBeLessThanOrEqual(4 * 1024 * 1024);
  const stopping = new AbortController();
  const onBytes = () => stopping.abort(new Error('stopped'));
  const stopped = bringFiles(await newRoot(), [file], { ...options, source, signal: stopping.signal, onBytes });
  await expect(stopped).rejects.toThrow('stopped');
});

test('files that are larger than the free space are rejected with both numbers', async () => {
  const folder = await newRoot();
  await expect(
    requireSpace(folder, [{ folder, files: [{ ...file, upload: { ...file.upload, sizeBytes: 2 ** 52 } }] }]),
  ).rejects.toMatchObject({
    code: 'no_space',
    message: expect.stringMatching(/it needs [\d,]+ MB more, and [\d,]+ MB are free/),
  });
  await requireSpace(folder, [{ folder, files: [file] }]);
});
