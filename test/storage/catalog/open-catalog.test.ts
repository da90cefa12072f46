import { cp, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { dataFolderPaths } from '../../../src/storage/data-folder.js';
import { trainyard } from '../../harness/command.js';
import { startServer, temporaryFolder } from '../../harness/server.js';

let filled: string;
let folder: string;
let catalog: string;
beforeAll(async () => {
  filled = await temporaryFolder();
  const server = await startServer({}, { dataFolder: filled });
  const api = await server.api();
  const id = await api.newDataset();
  await api.upload(id, 'a.txt', 'a red wagon');
  await server.stop();
});
afterAll(() => rm(filled, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await temporaryFolder();
  catalog = join(folder, 'catalog.sqlite');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Makes the folder a copy of one with files. */
function fillFolder(): Promise<void> {
  return cp(filled, folder, { recursive: true });
}

async function serve(): Promise<{ code: number; message: string }> {
  const { code, stderr } = await trainyard(['serve', '--port', '0', '--data', folder, '--log-level', 'silent']);
  return { code, message: stderr };
}

/** Sets bytes in the middle of the catalog to zero. */
async function damage({ at, bytes }: { at: number; bytes: number }): Promise<void> {
  const file = await open(catalog, 'r+');
  await file.write(Buffer.alloc(bytes), 0, bytes, at);
  await file.close();
}

test.each([
  ['all pages after the first', () => damage({ at: 4096, bytes: 100 * 4096 })],
  ['its content, which is a text', () => writeFile(catalog, 'this is no database\n'.repeat(1000))],
])('a catalog that is damaged in %s keeps the server from starting, with one line', async (_, damageIt) => {
  await fillFolder();
  await damageIt();
  const { code, message } = await serve();
  expect(message).toMatch(/^trainyard: [^\n]*catalog[^\n]*damaged[^\n]*Restore a backup\.\n$/);
  expect([65, 78]).toContain(code);
});

test('a catalog that is missing beside files of datasets is not replaced by a new one', async () => {
  await fillFolder();
  await rm(catalog);
  const filesOf = async () => (await readdir(folder, { recursive: true })).filter((name) => !name.includes('lock'));
  const before = await filesOf();
  const { code, message } = await serve();
  expect(code).toBe(78);
  expect(message).toMatch(
    /^trainyard: [^\n]*missing or empty[^\n]*restore a backup[^\n]*To start from scratch, move [^\n]*\n$/,
  );
  expect(await filesOf()).toEqual(before);
});

test('a folder whose datasets have no files starts as new without its catalog', async () => {
  const serving = () => startServer({}, { dataFolder: folder });
  await (await serving()).stop();
  await mkdir(join(dataFolderPaths(folder).blobs, 'empty'), { recursive: true });
  await rm(catalog);
  const server = await serving();
  expect((await (await server.api()).list()).body.datasets).toEqual([]);
  await server.stop();
});
