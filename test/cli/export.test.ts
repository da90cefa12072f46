import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { datasetOf, newRoot } from '../harness/mounting.js';
import { sharedServer } from '../harness/shared-server.js';
import { commandsOn } from './commands.js';

const { api, run, newProxy } = await commandsOn(await sharedServer());
const FILES = { 'a.jpg': await media.jpeg({ width: 600, height: 600 }), 'a.txt': 'a yard' };
const id = await datasetOf(api, FILES, 'rail way');
const exporting = (args: readonly string[], url?: string) => run(['export', 'rail way', ...args], url);

const zip = async () => Buffer.from(await (await api.raw('GET', `/${id}/zip`)).arrayBuffer());

test('writes an archive to a new file, into a folder, and to standard output', async () => {
  const folder = await newRoot();
  const path = join(folder, 'rail way.zip');
  const { stdout, code } = await exporting(['--to', folder]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/rail way\.zip: [\d.]+ k?B\n$/)]);
  expect((await readFile(path)).equals(await zip())).toBe(true);
  const again = await exporting(['--to', path]);
  const advice = expect.stringContaining('exists already. Remove it, or name another');
  expect([again.code, again.stderr]).toEqual([73, advice]);
  const captions = await exporting(['--as', 'captions-csv', '--to', '-']);
  expect(captions.stdout).toBe('file_name,text\r\n"a.jpg","a yard"\r\n');
  const { json } = await exporting(['--as', 'metadata', '--to', join(folder, 'm.zip'), '--json']);
  expect(json()).toMatchObject({ dataset_id: id, as: 'metadata', path: join(folder, 'm.zip') });
  expect(await readFile(join(folder, 'm.zip'), 'latin1')).toContain('{"file_name":"a.jpg","text":"a yard"}');
  expect((await readdir(folder)).sort()).toEqual(['m.zip', 'rail way.zip']);
  const nowhere = await exporting(['--to', join(folder, 'no', 'x.zip')]);
  const create = expect.stringContaining(`there is no folder ${join(folder, 'no')}. Create it`);
  expect([nowhere.code, nowhere.stderr]).toEqual([73, create]);
});

test('continues where a connection was lost, and leaves nothing of an archive that is not whole', async () => {
  const proxy = await newProxy();
  const folder = await newRoot();
  proxy.rule(({ path, time }) => (path.includes('/zip') && time === 1 ? 'cut-answer' : undefined));
  expect(await exporting(['--to', folder], proxy.url)).toMatchObject({ code: 0 });
  expect(proxy.requests('GET', '/zip').map(({ status }) => status)).toEqual([200, 206]);
  expect((await readFile(join(folder, 'rail way.zip'))).equals(await zip())).toBe(true);
  // An archive that changes meanwhile, to as many bytes as before, and a file of a person.
  const mine = join(folder, 'mine.zip');
  const meanwhile = { 'b.zip': () => api.upload(id, 'a.txt', 'a farm'), 'mine.zip': () => writeFile(mine, 'mine') };
  for (const [name, change] of Object.entries(meanwhile)) {
    proxy.rule(async ({ path, time }) => {
      if (path.includes('/zip') && time % 2 === 1) return 'cut-answer';
      if (path.includes('/zip')) await change();
      return undefined;
    });
    expect((await exporting(['--to', join(folder, name)], proxy.url)).code).toBe(name === 'b.zip' ? 75 : 73);
  }
  expect(await readFile(mine, 'utf8')).toBe('mine');
  proxy.rule(({ path }) => (path.includes('/zip') ? 'cut-answer' : undefined));
  expect((await exporting(['--to', join(folder, 'b.zip')], proxy.url)).code).not.toBe(0);
  expect((await readdir(folder)).sort()).toEqual(['mine.zip', 'rail way.zip']);
});
