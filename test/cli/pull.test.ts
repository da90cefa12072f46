import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { trainyard } from '../harness/command.js';
import { pairsOf } from '../harness/folder.js';
import { datasetOf, newRoot } from '../harness/mounting.js';
import { serverUntil } from '../harness/server.js';
import { commandsOn } from './commands.js';

// Without a decoder, the length of an AVI file is unknown.
const server = await serverUntil(afterAll, { 'caption-grace-seconds': 0, ffmpeg: 'none' });
const { api, run, newProxy, envFor } = await commandsOn(server);

const name = 'pulled';
const FILES = { ...(await pairsOf(2)), 'LOUD.JPG': await media.jpeg({ seed: 9 }), 'LOUD.TXT': 'loud' };
const NAMES = Object.keys(FILES).sort();
await datasetOf(api, FILES, name);

test('pull downloads every file under its own name, and nothing the second time', async () => {
  const folder = join(await newRoot(), 'new', 'folder');
  const first = await run(['pull', name, folder, '--json']);
  expect(first.json()).toMatchObject({ pulled: NAMES, unchanged: [], conflicts: [] });
  for (const [filename, bytes] of Object.entries(FILES)) {
    expect((await readFile(join(folder, filename))).equals(Buffer.from(bytes))).toBe(true);
  }
  expect((await readdir(folder)).sort()).toEqual(NAMES);
  const { ino, mtimeMs } = await stat(join(folder, '01.jpg'));
  const second = await run(['pull', name, folder, '--json']);
  expect(second.json()).toMatchObject({ pulled: [], unchanged: NAMES });
  expect(await stat(join(folder, '01.jpg'))).toMatchObject({ ino, mtimeMs });
  const inNamed = await trainyard(['pull', name, '--json'], { env: envFor(), cwd: folder });
  expect(inNamed.json()).toMatchObject({ folder: join(folder, name), pulled: NAMES });
});

test('pull lists local files that differ, and overwrites them only with --theirs', async () => {
  const folder = await newRoot();
  await writeFile(join(folder, '01.txt'), 'mine!!!');
  await writeFile(join(folder, 'unrelated.txt'), 'mine');
  await mkdir(join(folder, '02.txt'));
  await symlink('/nowhere', join(folder, '02.jpg'));
  const ended = await run(['pull', name, folder]);
  expect([ended.code, ended.stderr]).toEqual([73, expect.stringMatching(/1 file is in conflict .*: 01\.txt\./)]);
  expect(ended.stdout).toContain('  - mine!!!\n  + wagon 1\n');
  expect(ended.stdout).toContain('1 caption is only in the folder: unrelated.txt.');
  expect(ended.stderr).toContain('because they are no files: "02.jpg", "02.txt".');
  expect(await readFile(join(folder, '01.txt'), 'utf8')).toBe('mine!!!');
  expect(existsSync(join(folder, '01.jpg'))).toBe(true);
  const forced = await run(['pull', name, folder, '--theirs']);
  expect([forced.code, forced.stderr]).toEqual([73, expect.stringMatching(/^trainyard: not overwritten/)]);
  expect(await readFile(join(folder, '01.txt'), 'utf8')).toBe('wagon 1');
  expect(await readFile(join(folder, 'unrelated.txt'), 'utf8')).toBe('mine');
});

test('pull continues after a broken connection, and never leaves half a file', async () => {
  const proxy = await newProxy();
  const folder = await newRoot();
  // The last file of the archive, since some versions of Node pass on what arrived before the connection broke.
  proxy.rule(({ pathname }) => {
    if (pathname.endsWith('/archive')) return 'cut-answer';
    return pathname.endsWith('/LOUD.JPG') ? { status: 400, body: '{}' } : undefined;
  });
  expect((await run(['pull', name, folder], proxy.url)).code).toBe(65);
  expect(existsSync(join(folder, 'LOUD.JPG'))).toBe(false);
  proxy.rule(({ pathname, time }) => (pathname.endsWith('/LOUD.JPG') && time === 2 ? 'cut-answer' : undefined));
  expect((await run(['pull', name, folder], proxy.url)).code).toBe(0);
  expect(proxy.requests('GET', '/files/LOUD.JPG').map(({ status }) => status)).toEqual([400, 200, 206]);
  expect((await readdir(folder)).sort()).toEqual(NAMES);
});

test('pull and mount say of a service with only the API of the contract that it is no trainyard', async () => {
  const proxy = await newProxy({ isContractOnly: true });
  const pulled = await run(['pull', name, await newRoot()], proxy.url);
  expect([pulled.code, pulled.stderr]).toEqual([69, expect.stringContaining('it is no trainyard')]);
  const mounted = await run(['mount', name, '--into', await newRoot()], proxy.url);
  expect([mounted.code, mounted.stderr]).toEqual([69, expect.stringContaining('it is no trainyard')]);
});

test('pull works for a dataset that is not READY, and creates no folder for an empty or missing dataset', async () => {
  const id = await api.newDataset('unfinished');
  const folder = join(await newRoot(), 'folder');
  expect((await run(['pull', 'unfinished', folder])).code).toBe(0);
  expect((await run(['pull', 'missing', folder])).code).toBe(66);
  expect(existsSync(folder)).toBe(false);
  await api.upload(id, 'bare.jpg', await media.jpeg());
  expect((await run(['pull', 'unfinished', folder])).code).toBe(0);
  expect(await readdir(folder)).toEqual(['bare.jpg']);
});
