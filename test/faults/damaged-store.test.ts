import { mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import { flipBit, pathOfBytes } from '../harness/transferring.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

test.each([
  ['changed', flipBit],
  ['cut short', (path: string) => truncate(path, 5)],
])('the text of a caption that was %s is not served', async (what, damage) => {
  const id = await api.newDataset();
  await api.upload(id, 'a.txt', 'a sound dog');
  const text = `a dog, ${what}`;
  await api.upload(id, 'b.txt', text);
  await damage(await pathOfBytes(server.dataFolder, text));
  const { status, body } = await api.json('POST', `/${id}/captions`, { filenames: ['a.txt', 'b.txt'] });
  expect([status, body.error_code]).toEqual([409, 409003]);
  expect(body.error_message).toContain('b.txt');
});

const LOST = [
  ['is gone', (path: string) => rm(path)],
  ['was cut short', (path: string) => truncate(path, 5)],
  ['has lost all its bytes', (path: string) => truncate(path, 0)],
  ['became a folder', becomeFolder],
  [
    'became a link to itself',
    async (path: string) => {
      await rm(path);
      await symlink(path, path);
    },
  ],
] as const;

async function becomeFolder(path: string): Promise<void> {
  await rm(path);
  await mkdir(path);
  await writeFile(join(path, 'other.txt'), 'not of the service');
}

describe.each(LOST)('a file that %s', (what, damage) => {
  test('is answered with the reason, of the latest revision and of earlier ones', async () => {
    const id = await api.newDataset();
    const image = await media.png({ seed: what.length });
    await api.upload(id, 'a.png', image);
    await api.upload(id, 'a.txt', what);
    for (const bytes of [image, what]) await damage(await pathOfBytes(server.dataFolder, bytes));
    for (const path of ['a.png', 'a.txt', 'a.txt?revision=1', 'a.png/thumbnail', 'a.png/thumbnail?revision=1']) {
      const { status, body } = await api.request('GET', `/${id}/files/${path}`);
      expect([path, status, body.error_code]).toEqual([path, 409, 409003]);
      expect(body.error_message).toMatch(/The bytes of a\.(png|txt) .*Upload the file again\./);
    }
  });

  test('is compared without its text', async () => {
    const id = await api.newDataset();
    const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
    const text = `a dog that ${what}`;
    await client.bulk.saveCaptions(id, [
      { filename: 'a.txt', text },
      { filename: 'b.txt', text: 'a sound dog' },
    ]);
    await damage(await pathOfBytes(server.dataFolder, text));
    const { added, total } = await client.history.diff(id, { from: 0, to: 1 });
    expect(total.added).toBe(2);
    expect(added.map(({ filename, text }) => [filename, text])).toEqual([
      ['a.txt', undefined],
      ['b.txt', 'a sound dog'],
    ]);
  });
});

describe.each([
  ['zip archive', (id: string) => api.raw('GET', `/${id}/zip`)],
  [
    'tar archive',
    (id: string) =>
      api.raw('POST', `/${id}/archive`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ filenames: ['a.txt', 'b.txt', 'c.txt'] }),
      }),
  ],
])('a %s', (_, ask) => {
  test.each(LOST)('with a file that %s breaks off before its announced end', async (what, damage) => {
    const id = await api.newDataset();
    // One that is read ahead, and one that is not.
    for (const text of [what, what.repeat(40_000)]) {
      await api.upload(id, 'a.txt', 'a sound dog');
      await api.upload(id, 'b.txt', text);
      await api.upload(id, 'c.txt', 'another sound dog');
      expect((await (await ask(id)).arrayBuffer()).byteLength).toBeGreaterThan(text.length);
      await damage(await pathOfBytes(server.dataFolder, text));
      const response = await ask(id);
      expect(response.status).toBe(200);
      await expect(response.arrayBuffer()).rejects.toThrow();
    }
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  });
});
