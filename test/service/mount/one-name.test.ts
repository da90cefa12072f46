import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { MountFile } from '../../../src/service/mount/mount-source.js';
import { receiveFiles } from '../../../src/service/mount/receive/receive-files.js';
import { copyFromFolder } from '../../../src/service/mount/staging/copy-from-folder.js';
import { newRoot } from '../../harness/mounting.js';

const texts: Record<string, string> = { 'A.txt': 'a wagon', 'b.txt': 'a train', 'a.txt': 'a track' };
const files: readonly MountFile[] = Object.entries(texts).map(([filename, text]) => {
  return { filename, sizeBytes: text.length, sha256: createHash('sha256').update(text).digest('hex') };
});

/** As a file system that ignores case takes the two names. */
const nameOf = ({ filename }: MountFile) => filename.toLowerCase();

const signal = new AbortController().signal;
const onFile = () => {};
const conflict = { code: 'cannot_write', message: expect.stringContaining('"A.txt" and "a.txt" would be one file') };

test('two files that the file system takes for one end a mount over HTTP, and what an earlier attempt received does not', async () => {
  const folder = await newRoot();
  const read = async ({ filename }: MountFile, from: number) => ({
    from,
    body: (async function* () {
      yield Buffer.from(texts[filename]!).subarray(from);
    })(),
  });
  const source = { kind: 'http', name: 'http://service', read } as never;
  const receive = (wanted: readonly MountFile[], started: readonly string[]) =>
    receiveFiles(folder, wanted, source, {
      started: new Set(started),
      nameOf,
      connections: 1,
      signal,
      onBytes: () => {},
      onFile,
    });
  await expect(receive(files, [])).rejects.toMatchObject(conflict);
  await writeFile(join(folder, 'b.txt'), 'a tr');
  await receive(files.slice(0, 2), ['a.txt', 'b.txt']);
  expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe('a train');
});

test('two files that the file system takes for one end a mount of this machine', async () => {
  const [folder, store] = [await newRoot(), await newRoot()];
  for (const [name, text] of Object.entries(texts)) await writeFile(join(store, name), text);
  const options = {
    ...{ isHardLinked: false, threads: 1, copiesOnMainThread: true, signal, nameOf, onFile },
    done: new BigInt64Array(new SharedArrayBuffer(16)),
    pathOf: ({ filename }: MountFile) => join(store, filename),
    missing: async () => new Error('missing'),
  };
  await expect(copyFromFolder(folder, files, options)).rejects.toMatchObject(conflict);
});
