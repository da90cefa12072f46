import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type {} from '../harness/api.js';
import { startCommand, trainyard } from '../harness/command.js';
import { datasetOf, newRoot } from '../harness/mounting.js';
import { discardServer, startServer } from '../harness/server.js';

const server = await startServer({ 'caption-grace-seconds': 0 });
afterAll(() => discardServer(server));
const api = await server.api();
const FILES = { 'a.jpg': await media.jpeg({ width: 600, height: 600 }), 'a.txt': 'a yard' };
const id = await datasetOf(api, FILES, 'rail way');

const run = (...args: string[]) =>
  trainyard(['export', ...args], { env: { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token } });

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

test('continues an archive that an earlier run has begun', async () => {
  const folder = await newRoot();
  const etag = (await api.raw('HEAD', `/${id}/zip`)).headers.get('etag') ?? '';
  const whole = await zip();
  // Other bytes than the service would send show that they were kept.
  const begun = Buffer.from(whole.subarray(0, 1000)).fill('x', 500);
  await writeFile(join(folder, `.begun.zip.${etag.slice(1, 17)}.part`), begun);
  expect((await run('rail way', '--to', join(folder, 'begun.zip'))).code).toBe(0);
  const written = await readFile(join(folder, 'begun.zip'));
  expect(written.equals(Buffer.concat([begun, whole.subarray(1000)]))).toBe(true);
  expect(await readdir(folder)).toEqual(['begun.zip']);
});

test('two commands write one file in order, and no begun archive of another state stays', async () => {
  const folder = await newRoot();
  const path = join(folder, 'same.zip');
  await writeFile(join(folder, `.same.zip.${'0'.repeat(16)}.part`), 'old');
  const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
  const commands = Array.from({ length: 3 }, () => startCommand(['export', 'rail way', '--to', path], { env }));
  const codes = (await Promise.all(commands.map(({ ended }) => ended))).map(({ code }) => code);
  expect(codes.sort()).toEqual([0, 73, 73]);
  expect((await readFile(path)).equals(await zip())).toBe(true);
  expect(await readdir(folder)).toEqual(['same.zip']);
});
