import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { type DownloadLinks, TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';

const NAME = 'dog "1" é.jpg';

const server = await sharedServer();
const api = await server.api();
let client: TrainyardClient;
let image: Buffer;
let sha256: string;
let id: string;
let links: DownloadLinks;
beforeAll(async () => {
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  image = await media.jpeg({ width: 640, height: 400 });
  sha256 = createHash('sha256').update(image).digest('hex');
});
beforeEach(async () => {
  id = await api.newDataset();
  await api.upload(id, NAME, image);
  links = await client.downloadLinks(id);
});

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());
const cacheControlOf = async (url: string) => (await fetch(url)).headers.get('cache-control');
const rejectionOf = async (url: string | URL) => {
  const response = await fetch(url);
  const { error_code, error_message } = (await response.json()) as { error_code: number; error_message: string };
  return [response.status, error_code, error_message];
};

describe('a link', () => {
  test('reads a file and its thumbnail without a token, and contains none', async () => {
    const file = await fetch(links.file({ filename: NAME }));
    expect((await bytesOf(file)).equals(image)).toBe(true);
    expect((await fetch(links.file({ filename: NAME }), { headers: { range: 'bytes=0-9' } })).status).toBe(206);
    const head = await fetch(links.file({ filename: NAME }), { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(image.length)]);
    const thumbnail = await fetch(links.thumbnail({ filename: NAME }));
    expect([thumbnail.status, thumbnail.headers.get('content-type')]).toEqual([200, 'image/webp']);
    expect(links.file({ filename: NAME })).not.toContain(api.token);
    const lifeMs = links.expiresAt.getTime() - Date.now();
    expect(lifeMs).toBeGreaterThan(3_590_000);
    expect(lifeMs).toBeLessThanOrEqual(7_200_000);
  });

  test('does not allow anything else', async () => {
    const { query } = (await api.request<{ query: string }>('GET', `/${id}/download-link`)).body;
    for (const [method, path] of [
      ['GET', ''],
      ['GET', `/${id}/status`],
      ['GET', `/${id}/manifest`],
      ['GET', `/${id}/download-link`],
      ['GET', `/${id}/events`],
      ['POST', `/${id}/archive`],
      ['DELETE', `/${id}/files/${encodeURIComponent(NAME)}`],
      ['DELETE', `/${id}`],
    ] as const) {
      const response = await fetch(`${server.url}${BASE_PATH}${path}?${query}`, { method });
      expect(response.status, `${method} ${path}`).toBe(401);
    }
    const other = await api.newDataset();
    await api.upload(other, NAME, image);
    expect(await rejectionOf(links.file({ filename: NAME }).replace(id, other))).toEqual([
      403,
      403001,
      expect.stringContaining('exactly as links returned it'),
    ]);
  });

  test('with a changed part is rejected with 403, and one without a signature is a request without a token', async () => {
    const url = new URL(links.file({ filename: NAME }));
    for (const part of ['account', 'expires', 'signature']) {
      const value = url.searchParams.get(part) ?? '';
      for (const change of [`${value}0`, '', value.slice(1)]) {
        url.searchParams.set(part, change);
        expect((await rejectionOf(url)).slice(0, 2)).toEqual([403, 403001]);
      }
      url.searchParams.set(part, value);
    }
    expect((await fetch(url)).status).toBe(200);
    url.searchParams.append('account', url.searchParams.get('account')!);
    expect((await rejectionOf(url)).slice(0, 2)).toEqual([403, 403001]);
    url.searchParams.delete('signature');
    expect((await rejectionOf(url)).slice(0, 2)).toEqual([401, 401001]);
  });

  test("answers 404 after the dataset is deleted, and can't be made for an unknown dataset", async () => {
    await client.remove(id);
    expect((await rejectionOf(links.file({ filename: NAME }))).slice(0, 2)).toEqual([404, 404001]);
    await expect(client.downloadLinks(id)).rejects.toMatchObject({ status: 404, errorCode: 404001 });
    const theirs = await (await server.api('other')).newDataset();
    await expect(client.downloadLinks(theirs)).rejects.toMatchObject({ status: 404, errorCode: 404001 });
  });
});

describe('what a browser may cache', () => {
  const FOR_EVER = 'private, max-age=31536000, immutable';

  test("is permanent only where the URL contains the file's SHA-256", async () => {
    const file = { filename: NAME, sha256 };
    expect(await cacheControlOf(links.file(file))).toBe(FOR_EVER);
    expect(await cacheControlOf(links.thumbnail(file))).toBe(FOR_EVER);
    for (const other of [{ filename: NAME }, { filename: NAME, sha256: 'a'.repeat(64) }]) {
      expect(await cacheControlOf(links.file(other))).toBe('private, no-cache');
      expect(await cacheControlOf(links.thumbnail(other))).toBe('private, no-cache');
    }
    await api.upload(id, NAME, await media.jpeg({ width: 100, height: 300 }));
    expect(await cacheControlOf(links.file(file))).toBe('private, no-cache');
    expect(await cacheControlOf(links.thumbnail(file))).toBe('private, no-cache');
  });

  test('is never an error', async () => {
    const caption = await api.upload(id, 'dog.txt', 'a dog');
    expect(await cacheControlOf(links.thumbnail(caption.body))).toBeNull();
    const beyond = { headers: { range: `bytes=${image.length}-` } };
    const rejected = await fetch(links.file({ filename: NAME, sha256 }), beyond);
    expect([rejected.status, rejected.headers.get('cache-control')]).toEqual([416, null]);
  });
});

test('a file is shown inline, or saved if the link says so', async () => {
  const dispositionOf = async (url: string) => (await fetch(url)).headers.get('content-disposition');
  expect(await dispositionOf(links.file({ filename: NAME }))).toMatch(/^inline; filename=/);
  expect(await dispositionOf(links.file({ filename: NAME }, { download: true }))).toMatch(/^attachment; filename=/);
});
