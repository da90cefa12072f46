import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Api, put } from '../../harness/api.js';
import { trainyard } from '../../harness/command.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

const MAX_FILES = 3;
const AT_LIMIT =
  /The dataset has 3 files, and .* the limit of 3 files of a dataset \(--max-dataset-files\)\. Delete files/;

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'max-dataset-files': MAX_FILES, 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

const names = ['a.txt', 'b.txt', 'c.txt'];

async function fullDataset(): Promise<string> {
  const id = await api.newDataset();
  for (const name of names) expect((await api.upload(id, name, name)).status).toBe(200);
  return id;
}

const isFull = { status: 507, body: { error_code: 507002, error_message: expect.stringMatching(AT_LIMIT) } };

test('a dataset at its limit rejects another file, however it is sent, and stays as it was', async () => {
  const id = await fullDataset();
  expect(await api.upload(id, 'd.txt', 'd')).toMatchObject(isFull);
  expect(await api.links(id, { 'd.txt': 1 })).toMatchObject(isFull);
  const captions = [{ filename: 'd.txt', text: 'd' }];
  expect(await api.json('PUT', `/${id}/captions`, { captions })).toMatchObject(isFull);
  const { files, awaited } = (await api.status(id)).body;
  expect([files.map(({ filename }) => filename), awaited]).toEqual([names, undefined]);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('trainyard_limit{setting="max-dataset-files"} 3');
});

test('a dataset at its limit takes new bytes of the names that it has, and another file in the place of a deleted one', async () => {
  const id = await fullDataset();
  expect((await api.upload(id, 'a.txt', 'A')).status).toBe(200);
  const captions = names.map((filename) => ({ filename, text: 'new' }));
  expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
  const { uploads } = (await api.links(id, { 'a.txt': 1, 'b.txt': 1, 'c.txt': 1 })).body;
  // Three names, with two uploads each, are three files.
  expect((await api.request('DELETE', `/${id}/files/c.txt`)).status).toBe(200);
  expect((await api.upload(id, 'd.txt', 'd')).status).toBe(200);
  expect((await put(uploads['a.txt']!.upload_url, 'a')).status).toBe(200);
  expect(await api.upload(id, 'e.txt', 'e')).toMatchObject(isFull);
});

test('of a batch of links that would exceed it, none is reserved', async () => {
  const id = await api.newDataset();
  const batch = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`${i}.txt`, 1]));
  expect(await api.links(id, batch)).toMatchObject({
    status: 507,
    body: { error_message: expect.stringMatching(/The dataset has 0 files, and 250 more would exceed the limit of 3/) },
  });
  expect((await api.status(id)).body.status).toBe('DRAFT');
});

test('an earlier state is restored though the limit is lower since', async () => {
  const larger = await startServer({ 'caption-grace-seconds': 0 });
  onTestFinished(() => discardServer(larger));
  const before = await larger.api();
  const id = await before.newDataset();
  for (const name of names) await before.upload(id, name, name);
  await before.json('DELETE', `/${id}/files`, { filenames: ['b.txt', 'c.txt'] });
  const { revisions } = (
    await before.request<{ revisions: { number: number; files: number }[] }>('GET', `/${id}/revisions`)
  ).body;
  const whole = revisions.find(({ files }) => files === names.length)!;
  await larger.stop();
  const lower = await startServer({ 'max-dataset-files': 1 }, { dataFolder: larger.dataFolder });
  onTestFinished(() => lower.stop().then(() => {}));
  const after = await lower.api();
  expect((await after.request('POST', `/${id}/revisions/${whole.number}/restore`)).status).toBe(200);
  expect(await after.filenames(id)).toEqual(names);
});

test('push says why a folder does not fit', async () => {
  const folder = await folderWith(await pairsOf(2), 'too many');
  const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
  const { code, stderr } = await trainyard(['push', folder], { env });
  expect(code).not.toBe(0);
  expect(stderr).toContain('the limit of 3 files of a dataset (--max-dataset-files)');
});
