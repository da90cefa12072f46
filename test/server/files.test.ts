import sharp from 'sharp';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import type { WireRecheck } from '../../src/api/schemas.js';
import { type DownloadLinks, TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';
import { sha256 } from '../harness/sha256.js';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
const image = await media.jpeg({ width: 640, height: 400 });
let id: string;
beforeEach(async () => {
  id = await api.newDataset();
  await api.upload(id, 'dog 1.jpg', image);
  await api.upload(id, 'dog 1.txt', 'a dog');
});

const get = (path: string, headers: Record<string, string> = {}) => api.raw('GET', `/${id}/files/${path}`, { headers });

describe('reading a file', () => {
  test('returns the bytes with type, length, ETag and security headers', async () => {
    const response = await get('dog%201.jpg');
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).equals(image)).toBe(true);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(image.length),
      etag: `"${sha256(image)}"`,
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
      'content-disposition': expect.stringContaining('dog 1.jpg'),
    });
  });

  test('honours a range, answers 416 beyond the end, and the whole file for several ranges or other units', async () => {
    for (const [range, start, end] of [
      ['bytes=0-9', 0, 10],
      ['bytes=100-', 100, image.length],
      ['bytes=-7', image.length - 7, image.length],
      ['bytes=5-99999999', 5, image.length],
    ] as const) {
      const response = await get('dog%201.jpg', { range });
      expect([response.status, response.headers.get('content-range')]).toEqual([
        206,
        `bytes ${start}-${end - 1}/${image.length}`,
      ]);
      expect(Buffer.from(await response.arrayBuffer()).equals(image.subarray(start, end))).toBe(true);
    }
    const beyond = await get('dog%201.jpg', { range: `bytes=${image.length}-` });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${image.length}`]);
    for (const range of ['bytes=0-1,5-6', 'lines=1-2', 'bytes=x']) {
      expect((await get('dog%201.jpg', { range })).status).toBe(200);
    }
    const ranged = await api.raw('HEAD', `/${id}/files/dog%201.jpg`, { headers: { range: 'bytes=1-2' } });
    expect([ranged.status, ranged.headers.get('content-length')]).toEqual([200, String(image.length)]);
  });

  test('answers 304 to a known ETag, and ignores a range of other bytes', async () => {
    const etag = (await get('dog%201.jpg')).headers.get('etag')!;
    for (const known of [`"x", ${etag}`, `"x,y",W/${etag}`, ' * ']) {
      expect((await get('dog%201.jpg', { 'if-none-match': known })).status, known).toBe(304);
    }
    for (const other of ['"x"', '"x,*,y"', `"x, ${etag.slice(1)}`]) {
      expect((await get('dog%201.jpg', { 'if-none-match': other })).status, other).toBe(200);
    }
    expect((await get('dog%201.jpg', { 'if-range': etag, range: 'bytes=0-1' })).status).toBe(206);
    expect((await get('dog%201.jpg', { 'if-range': '"x"', range: 'bytes=0-1' })).status).toBe(200);
  });

  test('is possible under any Unicode form of its name; HTML in a caption is plain text, and it may be empty', async () => {
    await api.upload(id, 'caf\u00e9.txt', '<script>alert(1)</script>');
    const response = await get(encodeURIComponent('cafe\u0301.txt'));
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    await api.upload(id, 'empty.txt', '');
    expect(await (await get('empty.txt')).text()).toBe('');
    for (const path of ['nothing.jpg', '..%2f..%2fcatalog.sqlite', '%00', 'dog%201.jpg%00x']) {
      const missing = await get(path);
      expect([missing.status, await missing.json()]).toMatchObject([404, { error_code: 404002 }]);
    }
  });
});

test('a thumbnail is a WebP of 320 pixels, the same each time, until the file is replaced', async () => {
  const responses = await Promise.all([1, 2, 3].map(() => get('dog%201.jpg/thumbnail')));
  const [first, ...others] = await Promise.all(responses.map(async (r) => Buffer.from(await r.arrayBuffer())));
  expect(responses[0]!.headers.get('content-type')).toBe('image/webp');
  expect(await sharp(first!).metadata()).toMatchObject({ format: 'webp', width: 320, height: 200 });
  for (const other of others) expect(other.equals(first!)).toBe(true);
  const etag = responses[0]!.headers.get('etag')!;
  expect((await get('dog%201.jpg/thumbnail', { 'if-none-match': etag })).status).toBe(304);
  await api.upload(id, 'dog 1.jpg', await media.jpeg({ width: 100, height: 300 }));
  const replaced = Buffer.from(await (await get('dog%201.jpg/thumbnail')).arrayBuffer());
  expect(await sharp(replaced).metadata()).toMatchObject({ width: 100, height: 300 });
  const none = await get('dog%201.txt/thumbnail');
  expect([none.status, await none.json()]).toMatchObject([404, { error_code: 404004 }]);
});

test('a file that is removed orphans its caption; a rejected and a pending upload are removed too', async () => {
  const { status, body } = await api.request('DELETE', `/${id}/files/dog%201.jpg`);
  expect([status, body]).toEqual([200, { filename: 'dog 1.jpg', deleted: true, revision: expect.any(Number) }]);
  expect((await get('dog%201.jpg')).status).toBe(404);
  expect((await api.request('DELETE', `/${id}/files/dog%201.jpg`)).body.error_code).toBe(404002);
  expect((await api.status(id)).body).toMatchObject({ status: 'FAILED', error: { code: 'NO_MEDIA' } });
  await api.upload(id, 'dog 1.jpg', image);
  await api.upload(id, 'bad.png', media.damaged.html());
  await api.link(id, 'late.png', 9);
  for (const name of ['bad.png', 'late.png']) await api.request('DELETE', `/${id}/files/${name}`);
  expect((await api.status(id)).body.status).toBe('READY');
});

test('the manifest lists every file with size, SHA-256 and facts, and the digest of a READY dataset', async () => {
  const { body } = await api.manifest(id);
  const sums = body.files.map(({ sha256, filename }) => `${sha256}  ${filename}\n`).join('');
  expect(body).toMatchObject({
    dataset_id: id,
    status: 'READY',
    digest: sha256(sums),
    files: [
      { filename: 'dog 1.jpg', size_bytes: image.length, width: 640, height: 400 },
      { filename: 'dog 1.txt', size_bytes: 5, characters: 5 },
    ],
  });
  expect((await api.status(id)).body.digest).toBe(body.digest);
  await api.upload(id, 'cat.jpg', image);
  expect((await api.manifest(id)).body).not.toHaveProperty('digest');
});

test('a recheck is started, reports its progress, and finds nothing in intact files', async () => {
  const recheck = async (method: string) => (await api.request<WireRecheck>(method, `/${id}/recheck`)).body;
  expect(await recheck('GET')).toMatchObject({ dataset_id: id, state: 'never', total: 0, checked: 0, problems: [] });
  expect(await recheck('POST')).toMatchObject({ total: 2, started_at: expect.any(String) });
  await expect.poll(() => recheck('GET')).toMatchObject({ state: 'finished', checked: 2, problems: [] });
});

describe('pages of files', () => {
  let paged: string;
  beforeAll(async () => {
    const many = await api.newDataset();
    for (const [i, stem] of ['b', 'caf\u00e9', 'a', 'd'].entries()) {
      await api.upload(many, `${stem}.jpg`, await media.jpeg({ seed: i }));
      await api.upload(many, `${stem}.txt`, `a ${stem}`);
    }
    paged = many;
  });

  const namesOf = ({ files }: { files: { filename: string }[] }) => files.map(({ filename }) => filename);

  test('are sorted by name and equal to those of the status', async () => {
    const first = await client.files(paged, { limit: 3, kind: 'image' });
    expect(namesOf(first)).toEqual(['a.jpg', 'b.jpg', 'caf\u00e9.jpg']);
    expect(first.next_after).toBe('caf\u00e9.jpg');
    const { files } = await client.status(paged);
    expect(first.files[0]).toEqual(files.find(({ filename }) => filename === 'a.jpg'));
    const second = await client.files(paged, { limit: 3, kind: 'image', after: first.next_after! });
    expect([namesOf(second), second.next_after]).toEqual([['d.jpg'], null]);
  });

  test('have a hundred files unless the request has a limit', async () => {
    const many = await api.newDataset();
    const captions = Array.from({ length: 101 }, (_, i) => ({ filename: `${i + 100}.txt`, text: '' }));
    expect((await api.json('PUT', `/${many}/captions`, { captions })).status).toBe(200);
    const { body } = await api.request<{ files: object[]; next_after: string }>('GET', `/${many}/files`);
    expect([body.files.length, body.next_after]).toEqual([100, '199.txt']);
  });

  test('begin after any name, in any Unicode form; the last may be exactly full', async () => {
    expect(namesOf(await client.files(paged, { limit: 2, after: 'b.a' }))).toEqual(['b.jpg', 'b.txt']);
    expect(namesOf(await client.files(paged, { limit: 1, after: 'cafe\u0301.jpg' }))).toEqual(['caf\u00e9.txt']);
    for (const after of ['%00', '%ed%a0%80', 'x'.repeat(1024), '']) {
      expect((await api.request('GET', `/${paged}/files?after=${after}`)).status).toBe(200);
    }
    const { files, next_after } = await client.files(paged, { limit: 8 });
    expect([files.length, next_after]).toEqual([8, null]);
    expect(await client.files(paged, { limit: 1, kind: 'video' })).toEqual({ files: [], next_after: null });
  });
});

describe('a link for reading', () => {
  const NAME = 'dog "1" é.jpg';
  let links: DownloadLinks;
  beforeEach(async () => {
    await api.upload(id, NAME, image);
    links = await client.downloadLinks(id);
  });

  const cacheControlOf = async (url: string) => (await fetch(url)).headers.get('cache-control');
  const errorCodeOf = async (url: string | URL) =>
    ((await (await fetch(url)).json()) as { error_code: number }).error_code;

  test('reads a file and its thumbnail without a token, and contains none', async () => {
    const url = links.file({ filename: NAME });
    const file = await fetch(url);
    expect(Buffer.from(await file.arrayBuffer()).equals(image)).toBe(true);
    expect(file.headers.get('content-disposition')).toMatch(/^inline; filename=/);
    const saved = await fetch(links.file({ filename: NAME }, { download: true }));
    expect(saved.headers.get('content-disposition')).toMatch(/^attachment; filename=/);
    expect((await fetch(url, { headers: { range: 'bytes=0-9' } })).status).toBe(206);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(image.length)]);
    const thumbnail = await fetch(links.thumbnail({ filename: NAME }));
    expect([thumbnail.status, thumbnail.headers.get('content-type')]).toEqual([200, 'image/webp']);
    expect(url).not.toContain(api.token);
    const lifeMs = links.expiresAt.getTime() - Date.now();
    expect(lifeMs).toBeGreaterThan(3_590_000);
    expect(lifeMs).toBeLessThanOrEqual(7_200_000);
  });

  test('does not allow anything else, and ends with its dataset', async () => {
    const { query } = (await api.request<{ query: string }>('GET', `/${id}/download-link`)).body;
    for (const [method, path] of [
      ['GET', ''],
      ['GET', `/${id}/status`],
      ['GET', `/${id}/download-link`],
      ['POST', `/${id}/archive`],
      ['DELETE', `/${id}/files/${encodeURIComponent(NAME)}`],
      ['DELETE', `/${id}`],
    ] as const) {
      const response = await fetch(`${server.url}${BASE_PATH}${path}?${query}`, { method });
      expect(response.status, `${method} ${path}`).toBe(401);
    }
    const url = links.file({ filename: NAME });
    const other = await api.newDataset();
    await api.upload(other, NAME, image);
    expect(await errorCodeOf(url.replace(id, other))).toBe(403001);
    await client.remove(id);
    expect(await errorCodeOf(url)).toBe(404001);
    await expect(client.downloadLinks(id)).rejects.toMatchObject({ status: 404, errorCode: 404001 });
  });

  test('with a changed part is rejected with 403, and one without a signature is a request without a token', async () => {
    const link = links.file({ filename: NAME });
    for (const part of ['account', 'expires', 'signature']) {
      const url = new URL(link);
      url.searchParams.set(part, `${url.searchParams.get(part)}0`);
      expect(await errorCodeOf(url)).toBe(403001);
    }
    expect(await errorCodeOf(link.replace(/&signature=[^&]+/, ''))).toBe(401001);
  });

  test("a browser may cache for ever only what a URL with the file's SHA-256 answers, and no error", async () => {
    const file = { filename: NAME, sha256: sha256(image) };
    const beyond = await fetch(links.file(file), { headers: { range: `bytes=${image.length}-` } });
    expect([beyond.status, beyond.headers.get('cache-control')]).toEqual([416, null]);
    for (const urlOf of [links.file, links.thumbnail].map((each) => each.bind(links))) {
      expect(await cacheControlOf(urlOf(file))).toBe('private, max-age=31536000, immutable');
      expect(await cacheControlOf(urlOf({ filename: NAME }))).toBe('private, no-cache');
      expect(await cacheControlOf(urlOf({ filename: NAME, sha256: 'a'.repeat(64) }))).toBe('private, no-cache');
    }
    await api.upload(id, NAME, await media.jpeg({ width: 100, height: 300 }));
    expect(await cacheControlOf(links.file(file))).toBe('private, no-cache');
    expect(await cacheControlOf(links.thumbnail(file))).toBe('private, no-cache');
  });
});
