import { request } from 'node:http';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import * as media from '../fixtures/media.js';
import { type Api, put } from '../harness/api.js';
import { eventually, serverUntil, startServer } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const image = await media.jpeg();
let id: string;
beforeEach(async () => {
  id = await api.newDataset();
});

test.each([
  [{ 'a.exe': 5 }, 415, 'is not an image, video or caption by its extension'],
  [{ '../a.jpg': 5 }, 422, 'slash'],
  [{ 'a.jpg': 0 }, 422, 'at least 1'],
  [{ 'a.jpg': 1e15 }, 413, 'up to'],
  [{ '\u00e9.jpg': 5, 'e\u0301.jpg': 5 }, 422, 'twice'],
])('links for %j are rejected, and none is reserved', async (sizes, status, reason) => {
  const answer = await api.links(id, { 'good.jpg': 5, ...(sizes as Record<string, number>) });
  expect([answer.status, answer.body.error_message]).toEqual([status, expect.stringContaining(reason)]);
  expect(answer.body.detail?.[0]?.path).toMatch(/^filenameToByteSize\./);
  expect((await api.status(id)).body.status).toBe('DRAFT');
});

test('a PUT to a link needs no content type and its exact size, works once, and answers 404 to other methods', async () => {
  for (const type of ['application/json', 'multipart/form-data']) {
    const url = await api.link(id, 'a.txt', 5);
    const headers = { 'content-type': type };
    expect((await fetch(url, { method: 'PUT', body: Buffer.from('{"a":'), headers })).status).toBe(200);
  }
  const url = await api.link(id, 'a.txt', 5);
  expect((await put(url.replace('size=5', 'size=6'), 'hello!')).body.error_code).toBe(403001);
  for (const [bytes, status] of [
    ['hell', 422],
    ['hello!', 413],
    ['', 422],
  ] as const) {
    const rejected = await put(url, bytes);
    expect([rejected.status, rejected.body.error_message]).toEqual([status, expect.stringContaining('5 bytes')]);
  }
  for (const part of ['size=', 'expires=', 'signature=']) {
    expect((await put(url.replace(part, `${part}1`), 'hello')).body.error_code).toBe(403001);
  }
  for (const method of ['POST', 'GET', 'DELETE']) {
    const response = await fetch(url, { method });
    expect([response.status, await response.json()]).toMatchObject([404, { error_code: 404003 }]);
  }
  expect((await put(url, 'hello')).status).toBe(200);
  expect((await put(url, 'world')).body.error_code).toBe(409002);
  expect(await api.text(id, 'a.txt')).toBe('hello');
});

test('a withdrawal removes a pending or a rejected upload and ends its link, and keeps a stored file of the name', async () => {
  const withdraw = (filename: string) =>
    api.request<{ filename?: string }>('DELETE', `/${id}/uploads/${encodeURIComponent(filename)}`);
  await api.upload(id, 'dog.jpg', image);
  await api.upload(id, 'dog.txt', 'a dog');
  const { digest } = (await api.manifest(id)).body;
  await api.upload(id, 'caf\u00e9.txt', 'a cup');
  expect((await api.request('DELETE', `/${id}/files/cafe\u0301.txt`)).status).toBe(200);
  const url = await api.link(id, 'caf\u00e9.txt', 5);
  await api.link(id, 'dog.txt', 7);
  await api.upload(id, 'bad.png', media.damaged.html());
  const { status, body } = await withdraw('cafe\u0301.txt');
  expect([status, body]).toEqual([200, { filename: 'caf\u00e9.txt', withdrawn: true }]);
  expect((await put(url, 'hello')).body.error_code).toBe(403003);
  const filenames = ['dog.txt', 'bad.png', 'none.txt'];
  const many = await api.json<{ uploads: object[] }>('DELETE', `/${id}/uploads`, { filenames });
  const expected = filenames.map((filename) => ({ filename, withdrawn: filename !== 'none.txt' }));
  expect(many.body.uploads).toEqual(expected);
  expect((await api.manifest(id)).body).toMatchObject({ status: 'READY', digest });
  const again = await withdraw('dog.txt');
  expect(again.body.error_message).toContain('no pending or rejected upload of "dog.txt"');
  for (const name of ['cat.jpg', '\u0000', '../dog.txt']) expect((await withdraw(name)).body.error_code).toBe(404002);
  expect((await api.status(id)).body.status).toBe('READY');
});

test('a link that has expired is rejected, its dataset says so, and an upload in flight outlives it until it is withdrawn', async () => {
  const brief = await serverUntil(onTestFinished, { 'link-seconds': 3, 'caption-grace-seconds': 0 });
  const mine = await brief.api();
  const dataset = await mine.newDataset();
  await mine.upload(dataset, 'dog.jpg', image);
  await mine.upload(dataset, 'dog.txt', 'a dog');
  const { digest } = (await mine.manifest(dataset)).body;
  const urls = (await mine.links(dataset, { 'a.txt': 5, 'b.txt': 5, 'dog.txt': 10 })).body.uploads;
  const sent = request(urls['dog.txt']!.upload_url, { method: 'PUT', headers: { 'content-length': 10 } });
  const answered = new Promise<number | undefined>((resolve, reject) => {
    sent.on('response', (response) => resolve(response.resume().statusCode));
    sent.on('error', reject);
  });
  sent.write('hello');
  await eventually(async () => {
    const awaited = (await mine.status(dataset)).body.awaited ?? [];
    return (
      awaited.every(({ filename, until }) => filename === 'dog.txt' && until > urls['dog.txt']!.expires_at) || undefined
    );
  });
  const late = await put(urls['a.txt']!.upload_url, 'hello');
  expect(late.body).toMatchObject({ error_code: 403002, error_message: expect.stringContaining('expired') });
  expect((await mine.request('DELETE', `/${dataset}/uploads/dog.txt`)).status).toBe(200);
  sent.end('world');
  expect(await answered).toBe(403);
  const { error } = (await mine.status(dataset)).body;
  expect(error).toMatchObject({ code: 'UPLOAD_EXPIRED', problems: [{ filename: 'a.txt' }, { filename: 'b.txt' }] });
  expect((await mine.request('DELETE', `/${dataset}/uploads/a.txt`)).status).toBe(200);
  expect((await mine.request('DELETE', `/${dataset}/files/b.txt`)).status).toBe(200);
  expect((await mine.manifest(dataset)).body).toMatchObject({ status: 'READY', digest });
});

const forwarded = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
const addressOf = async (url: string, { token }: Api, headers: Record<string, string>) => {
  const own = await fetch(url + BASE_PATH, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  const { id: dataset } = (await own.json()) as { id: string };
  const response = await fetch(`${url}${BASE_PATH}/${dataset}/get-upload-endpoint`, {
    method: 'POST',
    body: '{"filenameToByteSize":{"a.txt":5}}',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
  });
  return /"upload_url":"(.*)\/uploads\//.exec(await response.text())?.[1];
};

test('the address in a link is the host that the client used; forwarded headers from an untrusted address are ignored', async () => {
  const localhost = `http://localhost:${new URL(server.url).port}`;
  for (const url of [server.url, localhost]) expect(await addressOf(url, api, forwarded)).toBe(url);
});

test('the address in a link comes from the headers of a trusted proxy, or is the public URL; links work after a restart', async () => {
  const behind = await startServer({ 'trusted-proxies': '10.0.0.0/8,127.0.0.1' });
  const mine = await behind.api();
  expect(await addressOf(behind.url, mine, forwarded)).toBe('https://evil.example');
  const dataset = await mine.newDataset();
  const { pathname, search } = new URL(await mine.link(dataset, 'a.txt', 5));
  // Each service has its own key.
  expect((await put(server.url + pathname + search, 'hello')).body.error_code).toBe(403001);
  await behind.stop();
  const settings = { 'public-url': 'https://data.example/train/' };
  const known = await serverUntil(onTestFinished, settings, { dataFolder: behind.dataFolder });
  expect(await addressOf(known.url, mine, forwarded)).toBe('https://data.example/train');
  expect((await put(known.url + pathname + search, 'hello')).status).toBe(200);
  expect(await eventually(async () => (await (await known.api()).filenames(dataset)).at(0))).toBe('a.txt');
});
