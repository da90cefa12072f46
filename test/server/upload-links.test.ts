import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let image: Buffer;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  image = await media.jpeg();
});
afterAll(() => discardServer(server));

describe('get-upload-endpoint', () => {
  test('returns a link for each file, keyed by the requested name byte for byte', async () => {
    const id = await api.newDataset();
    const names = ['clip.mp4', 'e\u0301 "1".jpg', '100%.png', '猫.txt', '1.jpg'];
    const { status, body } = await api.links(id, Object.fromEntries(names.map((name) => [name, 5])));
    expect(status).toBe(200);
    expect(Object.keys(body.uploads).sort()).toEqual(names.toSorted());
    for (const { upload_url, method, headers, expires_at } of Object.values(body.uploads)) {
      expect(upload_url).toMatch(new RegExp(`^${server.url}/uploads/`));
      expect(method).toBe('PUT');
      expect(headers).toEqual({});
      expect(Date.parse(`${expires_at}Z`)).toBeGreaterThan(Date.now() + 3500_000);
    }
  });

  test.each([
    [{ 'a.exe': 5 }, 415, 'is not an image, video or caption by its extension'],
    [{ '../a.jpg': 5 }, 422, 'slash'],
    [{ 'a.jpg': 0 }, 422, 'at least 1'],
    [{ 'a.jpg': -1 }, 422, 'at least 1'],
    [{ 'a.jpg': 1.5 }, 422, 'at least 1'],
    [{ 'a.jpg': 1e15 }, 413, 'up to'],
    [{ '\u00e9.jpg': 5, 'e\u0301.jpg': 5 }, 422, 'twice'],
  ])('rejects %j and reserves nothing', async (sizes, status, reason) => {
    const id = await api.newDataset();
    const answer = await api.links(id, { 'good.jpg': 5, ...(sizes as Record<string, number>) });
    expect([answer.status, answer.body.error_message]).toEqual([status, expect.stringContaining(reason)]);
    expect(answer.body.detail?.[0]?.path).toMatch(/^filenameToByteSize\./);
    expect((await api.status(id)).body.status).toBe('DRAFT');
  });
});

describe('a PUT to a signed link', () => {
  test('needs no content type and accepts any', async () => {
    const id = await api.newDataset();
    for (const type of [undefined, 'application/json', 'multipart/form-data']) {
      const url = await api.link(id, 'a.txt', 5);
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
      const response = await fetch(url, { method: 'PUT', body: Buffer.from('{"a":'), headers });
      expect(response.status).toBe(200);
    }
  });

  test('works for one upload and answers 409 afterwards', async () => {
    const id = await api.newDataset();
    const url = await api.link(id, 'a.txt', 5);
    expect((await put(url, 'hello')).status).toBe(200);
    const again = await put(url, 'world');
    expect([again.status, again.body.error_code]).toEqual([409, 409002]);
    expect(await (await api.raw('GET', `/${id}/files/a.txt`)).text()).toBe('hello');
  });

  test('of more or fewer bytes than reserved is rejected, nothing is stored, and the link still works', async () => {
    const id = await api.newDataset();
    const url = await api.link(id, 'a.txt', 5);
    for (const [bytes, status] of [
      ['hell', 422],
      ['hello!', 413],
      ['', 422],
    ] as const) {
      const rejected = await put(url, bytes);
      expect([rejected.status, rejected.body.error_message]).toEqual([status, expect.stringContaining('5 bytes')]);
    }
    expect((await api.status(id)).body).toMatchObject({ status: 'UPLOADING', files: [] });
    expect((await put(url, 'hello')).status).toBe(200);
    expect((await api.status(id)).body.files).toHaveLength(1);
  });

  test('of bytes that do not match the name is rejected, and a new link repairs the dataset', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'a.txt', 'a caption');
    const html = media.damaged.html();
    const url = await api.link(id, 'a.jpg', html.length);
    const rejected = await put(url, html);
    expect([rejected.status, rejected.body.error_code]).toEqual([422, 422004]);
    const failed = await api.status(id);
    expect(failed.body).toMatchObject({ status: 'FAILED', error: { code: 'UPLOAD_REJECTED' } });
    expect(failed.body.error?.problems.map(({ code }) => code)).toContain('NOT_AN_IMAGE');
    expect((await put(url, html)).status).toBe(409);
    const good = await media.jpeg();
    await put(await api.link(id, 'a.jpg', good.length), good);
    expect((await api.status(id)).body.status).toBe('READY');
  });

  test('with a changed part is rejected with 403', async () => {
    const link = await api.link(await api.newDataset(), 'a.txt', 5);
    const other = new URL(await api.link(await api.newDataset(), 'b.txt', 6));
    for (const part of ['id', 'size', 'expires', 'signature', 'all']) {
      const url = new URL(link);
      if (part === 'id') url.pathname = other.pathname;
      else if (part === 'all') url.search = '';
      else url.searchParams.set(part, other.searchParams.get(part) ?? '');
      const { status, body } = await put(url.href, 'hello');
      expect([part, status, body.error_code]).toEqual([part, 403, 403001]);
    }
  });

  test('a direct upload completes a pending upload of its name', async () => {
    const id = await api.newDataset();
    const image = await media.jpeg();
    await api.link(id, 'a.jpg', image.length);
    await api.upload(id, 'a.jpg', image);
    await api.upload(id, 'a.txt', 'a caption');
    expect((await api.status(id)).body).toMatchObject({ status: 'READY', counts: { pending: 0 } });
  });

  test('other methods answer 404', async () => {
    const url = await api.link(await api.newDataset(), 'a.txt', 5);
    for (const method of ['POST', 'GET', 'DELETE']) {
      const response = await fetch(url, { method });
      expect([response.status, await response.json()]).toEqual([404, expect.objectContaining({ error_code: 404003 })]);
    }
  });
});

describe('withdrawing', () => {
  let id: string;
  beforeEach(async () => {
    id = await api.newDataset();
    await api.upload(id, 'dog.jpg', image);
    await api.upload(id, 'dog.txt', 'a dog');
  });

  const withdraw = (filename: string) =>
    api.request<{ filename?: string }>('DELETE', `/${id}/uploads/${encodeURIComponent(filename)}`);
  const statusOf = async () => (await api.status(id)).body.status;

  test('removes a pending and a rejected upload, and its link no longer works', async () => {
    const url = await api.link(id, 'caf\u00e9.txt', 5);
    expect(await statusOf()).toBe('UPLOADING');
    const { status, body } = await withdraw('cafe\u0301.txt');
    expect([status, body]).toEqual([200, { filename: 'caf\u00e9.txt', withdrawn: true }]);
    expect(await statusOf()).toBe('READY');
    await api.upload(id, 'bad.png', media.damaged.html());
    expect(await statusOf()).toBe('FAILED');
    expect((await withdraw('bad.png')).status).toBe(200);
    expect(await statusOf()).toBe('READY');
    const late = await put(url, 'hello');
    expect([late.status, late.body.error_code]).toEqual([403, 403003]);
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

  test('answers 404 for a name without an upload', async () => {
    for (const name of ['cat.jpg', 'dog.jpg', '\u0000', '../dog.txt']) {
      const { status, body } = await withdraw(name);
      expect([status, body.error_code]).toEqual([404, 404002]);
    }
    expect(await statusOf()).toBe('READY');
  });
});

describe('a link of three seconds', () => {
  let brief: TestServer;
  let mine: Api;
  let id: string;
  beforeAll(async () => {
    brief = await startServer({ 'link-seconds': 3, 'caption-grace-seconds': 0 });
    mine = await brief.api();
  });
  afterAll(() => discardServer(brief));
  beforeEach(async () => {
    id = await mine.newDataset();
    await mine.upload(id, 'dog.jpg', image);
    await mine.upload(id, 'dog.txt', 'a dog');
  });

  test('is rejected once it has expired; the dataset says so, and a withdrawal, a removal or a new link repairs it', async () => {
    const urls = (await mine.links(id, { 'a.txt': 5, 'b.txt': 5, 'dog.txt': 3 })).body.uploads;
    const failed = await mine.status(id, '?wait=30');
    expect(failed.body).toMatchObject({ status: 'FAILED', error: { code: 'UPLOAD_EXPIRED' } });
    expect(failed.body.error?.problems).toMatchObject([
      ...['a.txt', 'b.txt', 'dog.txt'].map((filename) => ({ code: 'UPLOAD_EXPIRED', filename })),
    ]);
    const late = await put(urls['a.txt']!.upload_url, 'hello');
    expect([late.status, late.body.error_code]).toEqual([403, 403002]);
    expect(late.body.error_message).toContain('expired');
    expect((await mine.request('DELETE', `/${id}/uploads/a.txt`)).status).toBe(200);
    expect((await mine.request('DELETE', `/${id}/files/b.txt`)).status).toBe(200);
    expect((await mine.status(id)).body.status).toBe('FAILED');
    // On a busy machine, the next link may expire, too.
    await eventually(async () => (await put(await mine.link(id, 'dog.txt', 3), 'dog')).status === 200 || undefined);
    expect((await mine.status(id)).body.status).toBe('READY');
  });

  test('is outlived by an upload in flight, which a withdrawal ends, and nothing is stored', async () => {
    const before = await mine.manifest(id);
    const links = (await mine.links(id, { 'dog.txt': 10 })).body.uploads['dog.txt']!;
    const sent = request(links.upload_url, { method: 'PUT', headers: { 'content-length': 10 } });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      sent.on('response', (response) => resolve(response.resume().statusCode));
      sent.on('error', reject);
    });
    sent.write('hello');
    // While bytes arrive, the upload outlives its link.
    await eventually(async () => {
      const [awaited] = (await mine.status(id)).body.awaited ?? [];
      return awaited !== undefined && awaited.until > links.expires_at ? true : undefined;
    });
    expect((await mine.request('DELETE', `/${id}/uploads/dog.txt`)).status).toBe(200);
    expect((await mine.status(id)).body.status).toBe('READY');
    sent.end('world');
    expect(await answered).toBe(403);
    expect((await mine.manifest(id)).body).toEqual(before.body);
  });
});

describe('the address in a link', () => {
  const hostOf = async (from: TestServer, headers: Record<string, string>) => {
    const mine = await from.api();
    const id = await mine.newDataset();
    const { body } = await mine.request<{ uploads: Record<string, { upload_url: string }> }>(
      'POST',
      `/${id}/get-upload-endpoint`,
      {
        body: '{"filenameToByteSize":{"a.txt":5}}',
        headers: { 'content-type': 'application/json', ...headers },
      },
    );
    return body.uploads['a.txt']?.upload_url.replace(/\/uploads\/.*/, '');
  };
  const forwarded = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };

  test('is the host that the client used; forwarded headers from an untrusted address are ignored', async () => {
    expect(await hostOf(server, forwarded)).toBe(server.url);
    const port = new URL(server.url).port;
    const mine = await server.api();
    const id = await mine.newDataset();
    const response = await fetch(`http://localhost:${port}/prod/v1/trainers/datasets/${id}/get-upload-endpoint`, {
      method: 'POST',
      body: '{"filenameToByteSize":{"a.txt":5}}',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${mine.token}` },
    });
    expect(JSON.stringify(await response.json())).toContain(`http://localhost:${port}/uploads/`);
  });

  test('comes from the headers of a trusted proxy, or is the public URL; links work after a restart', async () => {
    const behind = await startServer({ 'trusted-proxies': '10.0.0.0/8,127.0.0.1' });
    expect(await hostOf(behind, forwarded)).toBe('https://evil.example');
    const mine = await behind.api();
    const id = await mine.newDataset();
    const url = new URL(await mine.link(id, 'a.txt', 5));
    // Each service has its own key.
    expect((await put(`${server.url}${url.pathname}${url.search}`, 'hello')).body.error_code).toBe(403001);
    await behind.stop();
    const settings = { 'public-url': 'https://data.example/train/' };
    const known = await startServer(settings, { dataFolder: behind.dataFolder });
    onTestFinished(() => discardServer(known));
    expect(await hostOf(known, forwarded)).toBe('https://data.example/train');
    expect((await put(`${known.url}${url.pathname}${url.search}`, 'hello')).status).toBe(200);
    expect(await eventually(async () => (await (await known.api()).filenames(id)).at(0))).toBe('a.txt');
  });
});
