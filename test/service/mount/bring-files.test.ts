import { createHash } from 'node:crypto';
import { link, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copyFiles } from '../../../src/service/mount/copy-files.js';
import type { DataFolderSource, MountFile, PlacedFile } from '../../../src/service/mount/mount-source.js';
import { receiveFiles, requireSpace } from '../../../src/service/mount/receive-files.js';
import { newRoot } from '../../harness/mounting.js';

const texts: Record<string, string> = { 'A.txt': 'a wagon', 'b.txt': 'a train', 'a.txt': 'a track' };

/** As a file system that ignores case takes the two names. */
const files: readonly PlacedFile[] = Object.entries(texts).map(([filename, text]) => {
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { filename, sizeBytes: text.length, sha256, mountedName: filename.toLowerCase() };
});

const { signal } = new AbortController();
const bringing = { concurrency: 1, isHardLinked: false, signal, onBytes: () => {}, onFile: () => {} };
const conflict = { code: 'cannot_write', message: expect.stringContaining('"A.txt" and "a.txt" would be one file') };

/** Reads the texts, and remembers from which bytes. */
function sourceOfTexts() {
  const from: number[] = [];
  const read = async ({ filename }: MountFile, start: number) => {
    from.push(start);
    return { from: start, body: [Buffer.from(texts[filename]!).subarray(start)] as never };
  };
  return { from, source: { kind: 'http', name: 'http://service', read } as never };
}

test('two files that the file system takes for one end a mount over HTTP, and what an earlier attempt received does not', async () => {
  const folder = await newRoot();
  const receive = (wanted: readonly PlacedFile[], started: readonly string[]) =>
    receiveFiles(folder, wanted, { ...bringing, ...sourceOfTexts(), started: new Set(started) });
  await expect(receive(files, [])).rejects.toMatchObject(conflict);
  await writeFile(join(folder, 'b.txt'), 'a tr');
  await receive(files.slice(0, 2), ['a.txt', 'b.txt']);
  expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe('a train');
});

test('two files that the file system takes for one end a mount of this machine', async () => {
  const [folder, store] = [await newRoot(), await newRoot()];
  for (const [name, text] of Object.entries(texts)) await writeFile(join(store, name), text);
  const pathOf = ({ filename }: MountFile) => join(store, filename);
  const source: DataFolderSource = {
    ...({ kind: 'data-folder', name: store } as DataFolderSource),
    pathOf,
    missing: async () => new Error('missing'),
  };
  const options = { ...bringing, started: new Set<string>(), source };
  await expect(copyFiles(folder, files, options)).rejects.toMatchObject(conflict);
});

test.each([
  ['shorter', 'a t'],
  ['longer', 'a train of another kind'],
])('a file that an earlier mount hard-linked stays as it is, also if it is %s', async (_, older) => {
  const [folder, store] = [await newRoot(), await newRoot()];
  await writeFile(join(store, 'stored'), older);
  await link(join(store, 'stored'), join(folder, 'b.txt'));
  const { from, source } = sourceOfTexts();
  await receiveFiles(folder, [files[1]!], { ...bringing, source, started: new Set(['b.txt']) });
  expect(from).toEqual([0]);
  expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe('a train');
  expect(await readFile(join(store, 'stored'), 'utf8')).toBe(older);
});

test('files that are larger than the free space are rejected with both numbers', async () => {
  const folder = await newRoot();
  const large = { ...files[0]!, sizeBytes: 2 ** 52 };
  await expect(requireSpace(folder, [{ folder, files: [large] }])).rejects.toMatchObject({
    code: 'no_space',
    message: expect.stringMatching(/it needs [\d,]+ MB more, and [\d,]+ MB are free/),
  });
  await requireSpace(folder, [{ folder, files }]);
});
