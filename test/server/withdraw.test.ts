import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let image: Buffer;
let id: string;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0, 'link-seconds': 3 });
  api = await server.api();
  image = await media.jpeg();
});
afterAll(() => discardServer(server));
beforeEach(async () => {
  id = await api.newDataset();
  await api.upload(id, 'dog.jpg', image);
  await api.upload(id, 'dog.txt', 'a dog');
});

const withdraw = (filename: string) =>
  api.request<{ filename?: string }>('DELETE', `/${id}/uploads/${encodeURIComponent(filename)}`);
const statusOf = async () => (await api.status(id)).body.status;

describe('withdrawing', () => {
  test('removes a pending upload, and its link no longer works', async () => {
    const url = await api.link(id, 'caf\u00e9.txt', 5);
    expect(await statusOf()).toBe('UPLOADING');
    const { status, body } = await withdraw('cafe\u0301.txt');
    expect([status, body]).toEqual([200, { filename: 'caf\u00e9.txt', withdrawn: true }]);
    expect(await statusOf()).toBe('READY');
    const late = await put(url, 'hello');
    expect([late.status, late.body.error_code]).toEqual([403, 403003]);
  });

  test('removes an expired upload', async () => {
    await api.link(id, 'late.txt', 5);
    expect((await api.status(id, '?wait=30')).body).toMatchObject({
      status: 'FAILED',
      error: { code: 'UPLOAD_EXPIRED' },
    });
    expect((await withdraw('late.txt')).status).toBe(200);
    expect(await statusOf()).toBe('READY');
  });

  test('removes a rejected upload', async () => {
    await api.upload(id, 'bad.png', media.damaged.html());
    expect(await statusOf()).toBe('FAILED');
    expect((await withdraw('bad.png')).status).toBe(200);
    expect(await statusOf()).toBe('READY');
  });

  test('keeps a stored file of the same name', async () => {
    const before = await api.manifest(id);
    await api.link(id, 'dog.txt', 7);
    expect((await withdraw('dog.txt')).status).toBe(200);
    expect((await api.manifest(id)).body).toEqual(before.body);
    const again = await withdraw('dog.txt');
    expect([again.status, again.body.error_code]).toEqual([404, 404002]);
    expect(again.body.error_message).toContain('no pending or rejected upload of "dog.txt"');
    expect((await api.manifest(id)).body).toEqual(before.body);
  });

  test('ends an upload in flight through a link, and stores nothing', async () => {
    const before = await api.manifest(id);
    const links = (await api.links(id, { 'dog.txt': 10 })).body.uploads['dog.txt']!;
    const sent = request(links.upload_url, { method: 'PUT', headers: { 'content-length': 10 } });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      sent.on('response', (response) => resolve(response.resume().statusCode));
      sent.on('error', reject);
    });
    sent.write('hello');
    // While bytes arrive, the upload outlives its link.
    await eventually(async () => {
      const [awaited] = (await api.status(id)).body.awaited ?? [];
      return awaited !== undefined && awaited.until > links.expires_at ? true : undefined;
    });
    expect((await withdraw('dog.txt')).status).toBe(200);
    expect(await statusOf()).toBe('READY');
    sent.end('world');
    expect(await answered).toBe(403);
    expect((await api.manifest(id)).body).toEqual(before.body);
  });

  test.each(['cat.jpg', 'dog.jpg', '\u0000', '../dog.txt'])('answers 404 for %j', async (name) => {
    const { status, body } = await withdraw(name);
    expect([status, body.error_code]).toEqual([404, 404002]);
    expect(await statusOf()).toBe('READY');
  });
});
