import { createHash } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { type DownloadLinks, TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';

const NAME = 'dog "1" é.jpg';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
const image = await media.jpeg({ width: 640, height: 400 });
let id: string;
let links: DownloadLinks;
beforeEach(async () => {
  id = await api.newDataset();
  await api.upload(id, NAME, image);
  links = await client.downloadLinks(id);
});

const cacheControlOf = async (url: string) => (await fetch(url)).headers.get('cache-control');
const errorCodeOf = async (url: string | URL) =>
  ((await (await fetch(url)).json()) as { error_code: number }).error_code;

test('a link reads a file and its thumbnail without a token, and contains none', async () => {
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

test('a link does not allow anything else, and ends with its dataset', async () => {
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

test('a link with a changed part is rejected with 403, and one without a signature is a request without a token', async () => {
  const link = links.file({ filename: NAME });
  for (const part of ['account', 'expires', 'signature']) {
    const url = new URL(link);
    url.searchParams.set(part, `${url.searchParams.get(part)}0`);
    expect(await errorCodeOf(url)).toBe(403001);
  }
  expect(await errorCodeOf(link.replace(/&signature=[^&]+/, ''))).toBe(401001);
});

test("a browser may cache for ever only what a URL with the file's SHA-256 answers, and no error", async () => {
  const file = { filename: NAME, sha256: createHash('sha256').update(image).digest('hex') };
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
