import { rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileInspector } from '../../../src/cli/folder/inspect-files.js';
import { readPaths } from '../../../src/cli/folder/read-folder.js';
import { folderWith } from '../../harness/folder.js';

test('a caption that is replaced by one of the same size and modification time is another version', async () => {
  const folder = await folderWith({ 'a.txt': 'a red wagon' });
  const path = join(folder, 'a.txt');
  // Whole seconds, as archives and some file systems keep them.
  const time = new Date('2026-01-01T00:00:00Z');
  await utimes(path, time, time);
  const inspector = new FileInspector();
  const hash = async () => {
    const [file] = (await readPaths([folder], { follow: false })).files;
    return inspector.sha256(file!);
  };
  const before = await hash();
  await writeFile(join(folder, 'new'), 'a old wagon');
  await utimes(join(folder, 'new'), time, time);
  await rename(join(folder, 'new'), path);
  expect((await stat(path)).mtimeMs).toBe(time.getTime());
  expect(await hash()).not.toBe(before);
});
