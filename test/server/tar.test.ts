import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

const run = promisify(execFile);

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

const ask = (id: string, filenames: unknown) =>
  api.raw('POST', `/${id}/archive`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ filenames }),
  });

/** Unpacks with the system's tar, an independent implementation. */
async function unpacked(response: Response): Promise<{ listed: string[]; files: Map<string, Buffer> }> {
  const folder = await mkdtemp(join(tmpdir(), 'trainyard-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'archive.tar');
  await writeFile(path, Buffer.from(await response.arrayBuffer()));
  const { stdout } = await run('tar', ['--list', '--quoting-style=literal', '-f', path], {
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  await run('tar', ['-x', '-f', path, '-C', folder], { env: { ...process.env, LC_ALL: 'C.UTF-8' } });
  await rm(path);
  const names = await readdir(folder);
  return {
    listed: stdout.split('\n').filter(Boolean),
    files: new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const))),
  };
}

test('several files are one tar archive, in the order of the request, byte for byte', async () => {
  const id = await api.newDataset();
  const long = `${'x'.repeat(200)} ünïcode 🚂`;
  // A file that is read ahead, one that is not, one of exactly two blocks, an empty one, and names that need a pax header.
  const files: Record<string, Buffer> = {
    'small.jpg': await media.jpeg({ width: 64, height: 64 }),
    'large.png': await media.png({ width: 700, height: 700, seed: 5 }),
    'two blocks.txt': Buffer.from('y'.repeat(1024)),
    'empty.txt': Buffer.alloc(0),
    [`${long}.txt`]: Buffer.from('a caption'),
  };
  for (const [name, bytes] of Object.entries(files)) await api.upload(id, name, bytes);
  expect(files['large.png']!.length).toBeGreaterThan(256 * 1024);
  const names = Object.keys(files).reverse();
  const response = await ask(id, names);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-tar']);
  const { listed, files: found } = await unpacked(response);
  expect(listed).toEqual(names);
  for (const [name, bytes] of Object.entries(files)) expect(found.get(name)?.equals(bytes), name).toBe(true);
});

test('hundreds of files are read ahead without loss', async () => {
  const id = await api.newDataset();
  const names = Array.from({ length: 300 }, (_, i) => `caption ${i}.txt`);
  for (const name of names) await api.upload(id, name, name.repeat(300));
  const { listed, files } = await unpacked(await ask(id, names));
  expect(listed).toEqual(names);
  for (const name of names) expect(files.get(name)?.toString()).toBe(name.repeat(300));
});

test('an unknown name is reported, and no archive is sent', async () => {
  const id = await api.newDataset();
  await api.upload(id, 'a.txt', 'a');
  const response = await ask(id, ['a.txt', 'b.txt']);
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ error_message: expect.stringContaining('"b.txt"') });
});

test('names are found in any Unicode form', async () => {
  const id = await api.newDataset();
  await api.upload(id, 'caf\u00e9.txt', 'a');
  expect((await unpacked(await ask(id, ['cafe\u0301.txt']))).listed).toEqual(['caf\u00e9.txt']);
});
