import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type {} from '../harness/api.js';
import { trainyard } from '../harness/command.js';
import { datasetOf, newRoot } from '../harness/mounting.js';
import { startProxy } from '../harness/proxy.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const FILES = { 'a.jpg': await media.jpeg({ width: 600, height: 600 }), 'a.txt': 'a yard' };
const id = await datasetOf(api, FILES, 'rail way');

const runAt = (url: string, ...args: string[]) =>
  trainyard(['export', ...args], { env: { TRAINYARD_URL: url, TRAINYARD_TOKEN: api.token } });
const run = (...args: string[]) => runAt(server.url, ...args);

const zip = async () => Buffer.from(await (await api.raw('GET', `/${id}/zip`)).arrayBuffer());

test('writes an archive to a new file, into a folder, and to standard output', async () => {
  const folder = await newRoot();
  const path = join(folder, 'rail way.zip');
  const { stdout, code } = await run('rail way', '--to', folder);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/rail way\.zip: [\d.]+ k?B\n$/)]);
  expect((await readFile(path)).equals(await zip())).toBe(true);
  const again = await run('rail way', '--to', path);
  expect([again.code, again.stderr]).toEqual([
    73,
    expect.stringContaining('exists already. Remove it, or name another'),
  ]);
  expect((await run('rail way', '--as', 'captions-csv', '--to', '-')).stdout).toBe(
    'file_name,text\r\n"a.jpg","a yard"\r\n',
  );
  const { json } = await run('rail way', '--as', 'metadata', '--to', join(folder, 'm.zip'), '--json');
  expect(json()).toMatchObject({ dataset_id: id, as: 'metadata', path: join(folder, 'm.zip') });
  expect((await readFile(join(folder, 'm.zip'), 'latin1')).includes('{"file_name":"a.jpg","text":"a yard"}')).toBe(
    true,
  );
  expect((await readdir(folder)).sort()).toEqual(['m.zip', 'rail way.zip']);
  expect(await run('rail way', '--to', join(folder, 'no', 'x.zip'))).toMatchObject({ code: 73 });
});

test('continues where a connection was lost, and leaves nothing of an archive that is not whole', async () => {
  const proxy = await startProxy(server.url);
  onTestFinished(() => proxy.close());
  const folder = await newRoot();
  proxy.rule(({ path, time }) => (path.includes('/zip') && time === 1 ? 'cut-answer' : undefined));
  expect(await runAt(proxy.url, 'rail way', '--to', folder)).toMatchObject({ code: 0 });
  expect(proxy.requests('GET', '/zip').map(({ status }) => status)).toEqual([200, 206]);
  expect((await readFile(join(folder, 'rail way.zip'))).equals(await zip())).toBe(true);
  proxy.rule(({ path }) => (path.includes('/zip') ? 'cut-answer' : undefined));
  expect((await runAt(proxy.url, 'rail way', '--to', join(folder, 'b.zip'))).code).not.toBe(0);
  expect(await readdir(folder)).toEqual(['rail way.zip']);
});
