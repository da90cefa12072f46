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

test.each(['a t', 'a train of another kind'])(
  'a stored file %j that an earlier mount hard-linked is not written to',
  async (older) => {
    const [folder, store] = [await newRoot(), await newRoot()];
    await writeFile(join(store, 'stored'), older);
    await link(join(store, 'stored'), join(folder, 'b.txt'));
    await bringFiles(folder, [file], { ...options, source: remoteSource().source });
    expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe(TEXT);
    expect(await readFile(join(store, 'stored'), 'utf8')).toBe(older);
  },
);

/** Stores bytes, readable for their owner alone. */
async function localFile(bytes: Buffer | string) {
  const store = await newRoot();
  await writeFile(join(store, 'b.txt'), bytes, { mode: 0o600 });
  const source = { ...({ kind: 'local', name: store } as LocalSource), pathOf: () => join(store, 'b.txt') };
  return {
    source,
    file: { ...file, sha256: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length },
  };
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

test.each([1, 9_000_000])('all users can read a local copy of %i bytes, as the umask allows', async (sizeBytes) => {
  const folder = await newRoot();
  const bytes = Buffer.alloc(sizeBytes, 'train');
  const { source, file } = await localFile(bytes);
  await bringFiles(folder, [file], { ...options, source });
  expect((await readFile(join(folder, 'b.txt'))).equals(bytes)).toBe(true);
  expect((await stat(join(folder, 'b.txt'))).mode & 0o777).toBe(0o666 & ~process.umask());
});

test('a copy of a large local file reports bytes as they come, and ends with the signal', async () => {
  const bytes = Buffer.alloc(9_000_000, 'train');
  const { source, file } = await localFile(bytes);
  const reported: number[] = [];
  const onBytes = (count: number) => void reported.push(count);
  await bringFiles(await newRoot(), [file], { ...options, source, onBytes });
  expect(reported.reduce((sum, count) => sum + count, 0)).toBe(bytes.length);
  expect(Math.max(...reported)).toBeLessThanOrEqual(4 * 1024 * 1024);
  const stopping = new AbortController();
  const stopped = bringFiles(await newRoot(), [file], {
    ...{ ...options, source, signal: stopping.signal },
    onBytes: () => stopping.abort(new Error('stopped')),
  });
  await expect(stopped).rejects.toThrow('stopped');
});

test('files that are larger than the free space are rejected with both numbers', async () => {
  const folder = await newRoot();
  await expect(requireSpace(folder, [{ folder, files: [{ ...file, sizeBytes: 2 ** 52 }] }])).rejects.toMatchObject({
    code: 'no_space',
    message: expect.stringMatching(/it needs [\d,]+ MB more, and [\d,]+ MB are free/),
  });
  await requireSpace(folder, [{ folder, files: [file] }]);
});
