import { truncate } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from './harness/api.js';
import { discardServer, startServer, type TestServer } from './harness/server.js';
import { flipBit, pathOfBytes } from './harness/transferring.js';

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
])('a caption that was %s is no text that anybody may save again', async (what, damage) => {
  const id = await api.newDataset();
  await api.upload(id, 'a.txt', 'a sound dog');
  const text = `a dog, ${what}`;
  await api.upload(id, 'b.txt', text);
  await damage(await pathOfBytes(server.dataFolder, text));
  const { status, body } = await api.json('POST', `/${id}/captions`, { filenames: ['a.txt', 'b.txt'] });
  expect([status, body.error_code]).toEqual([409, 409003]);
  expect(body.error_message).toContain('b.txt');
});
