import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let client: TrainyardClient;
let id: string;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(() => discardServer(server));
beforeEach(async () => {
  id = await api.newDataset();
  for (const [i, stem] of ['b', 'caf\u00e9', 'a', 'd'].entries()) {
    await api.upload(id, `${stem}.jpg`, await media.jpeg({ seed: i }));
    await api.upload(id, `${stem}.txt`, `a ${stem}`);
  }
});

const namesOf = ({ files }: { files: { filename: string }[] }) => files.map(({ filename }) => filename);

test('pages of files are sorted by name and equal to those of the status', async () => {
  const first = await client.files(id, { limit: 3, kind: 'image' });
  expect(namesOf(first)).toEqual(['a.jpg', 'b.jpg', 'caf\u00e9.jpg']);
  expect(first.next_after).toBe('caf\u00e9.jpg');
  const { files } = await client.status(id);
  expect(first.files[0]).toEqual(files.find(({ filename }) => filename === 'a.jpg'));
  const second = await client.files(id, { limit: 3, kind: 'image', after: first.next_after! });
  expect([namesOf(second), second.next_after]).toEqual([['d.jpg'], null]);
});

test('a last page may be exactly full', async () => {
  const { files, next_after } = await client.files(id, { limit: 8 });
  expect([files.length, next_after]).toEqual([8, null]);
  expect(await client.files(id, { limit: 1, kind: 'video' })).toEqual({ files: [], next_after: null });
  expect(await client.files(await api.newDataset(), { limit: 1 })).toEqual({ files: [], next_after: null });
});

test('a page begins after any name, in any Unicode form', async () => {
  expect(namesOf(await client.files(id, { limit: 2, after: 'b.a' }))).toEqual(['b.jpg', 'b.txt']);
  expect(namesOf(await client.files(id, { limit: 1, after: 'cafe\u0301.jpg' }))).toEqual(['caf\u00e9.txt']);
});

test('the default limit is a hundred', async () => {
  const many = await api.newDataset();
  const names = Array.from({ length: 101 }, (_, i) => `${i + 100}.txt`);
  for (const name of names) await api.upload(many, name, 'a caption');
  const { body } = await api.request<{ files: { filename: string }[]; next_after: string }>('GET', `/${many}/files`);
  expect([namesOf(body), body.next_after]).toEqual([names.slice(0, 100), '199.txt']);
});

test.each([
  'limit=0',
  'limit=1001',
  'limit=x',
  'limit=1.5',
  'kind=',
  'kind=sound',
  'after=a&after=b',
  `after=${'x'.repeat(1025)}`,
])('rejects %s with 422', async (query) => {
  expect((await api.request('GET', `/${id}/files?${query}`)).status).toBe(422);
});

test.each(['%00', '%ed%a0%80', 'x'.repeat(1024), ''])('accepts %s as a name', async (after) => {
  expect((await api.request('GET', `/${id}/files?after=${after}`)).status).toBe(200);
});
