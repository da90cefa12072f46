import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, revokeToken, startServer, type TestServer } from '../harness/server.js';

const run = promisify(execFile);

let server: TestServer;
let api: Api;
let client: TrainyardClient;
let id: string;
let image: Buffer;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  image = await media.png({ width: 300, height: 300, seed: 5 });
  id = await api.newDataset('yard é');
  await api.upload(id, 'A.PNG', image);
  await api.upload(id, 'A.TXT', 'a yard');
  await api.upload(id, `${'ü'.repeat(120)}.png`, image);
  await api.upload(id, `${'ü'.repeat(120)}.txt`, 'another');
});
afterAll(() => discardServer(server));

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());
const errorOf = async (url: string) => {
  const response = await fetch(url);
  return [response.status, ((await response.json()) as { error_message: string }).error_message];
};

test('a link gives the mounted folder as a tar archive, and the lines for sha256sum, without a token', async () => {
  const link = await client.tarLink(id);
  expect(link).toMatchObject({ name: 'yard é', files: 4, bytes: 2 * image.length + 13, dataset_id: id });
  expect(link.url).not.toContain(api.token);
  const response = await fetch(link.url);
  const archive = await bytesOf(response);
  expect(response.headers.get('content-length')).toBe(String(archive.length));
  const root = await mkdtemp(join(tmpdir(), 'trainyard-test-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await writeFile(join(root, 'a.tar'), archive);
  const listed = await run('tar', ['-tf', join(root, 'a.tar'), '--quoting-style=literal'], {
    env: { LC_ALL: 'C.UTF-8' },
  });
  expect(listed.stdout.trim().split('\n')).toEqual(
    ['A.png', 'A.txt', `${'ü'.repeat(120)}.png`, `${'ü'.repeat(120)}.txt`, '.mount.json'].map(
      (name) => `yard é/${name}`,
    ),
  );
  await run('tar', ['-xf', join(root, 'a.tar'), '-C', root]);
  await writeFile(join(root, 'sums'), await bytesOf(await fetch(link.sha256sums_url)));
  await run('sha256sum', ['-c', '--strict', 'sums'], { cwd: root });
  expect((await readFile(join(root, 'yard é', 'A.png'))).equals(image)).toBe(true);
});

test('the bytes of one digest are always the same, so a download can be resumed', async () => {
  const { url, digest } = await client.tarLink(id);
  const archive = await bytesOf(await fetch(url));
  // The same content at another time.
  await api.upload(id, 'A.PNG', await media.png({ width: 30, height: 30 }));
  await api.upload(id, 'A.PNG', image);
  expect((await client.tarLink(id)).digest).toBe(digest);
  const whole = await fetch(url);
  const etag = whole.headers.get('etag') ?? '';
  expect((await bytesOf(whole)).equals(archive)).toBe(true);
  for (const from of [0, 511, 1000, image.length, archive.length - 1025, archive.length - 1]) {
    const rest = await fetch(url, { headers: { range: `bytes=${from}-`, 'if-range': etag } });
    expect([rest.status, (await bytesOf(rest)).equals(archive.subarray(from))]).toEqual([206, true]);
  }
  // A range that ends within a file could not be checked.
  const closed = await fetch(url, { headers: { range: 'bytes=0-99' } });
  expect([closed.status, (await bytesOf(closed)).length]).toEqual([200, archive.length]);
  const beyond = await fetch(url, { headers: { range: `bytes=${archive.length}-` } });
  expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${archive.length}`]);
  expect((await fetch(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
  const head = await fetch(url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(archive.length)]);
});

test('only a READY state is given: the current one, a revision, or a digest; a link stays with its state', async () => {
  const other = await api.newDataset('states');
  const refusal = async (query: object = {}) =>
    client.tarLink(other, query).catch((error) => [error.status, error.message]);
  expect(await refusal()).toEqual([
    409,
    '"states" is DRAFT, and only a READY dataset can be mounted. To see why, run: trainyard status "states"',
  ]);
  await api.upload(other, 'a.png', image);
  expect(await refusal()).toEqual([409, expect.stringContaining('"states" is FAILED')]);
  expect(await refusal({ revision: 1 })).toEqual([409, expect.stringContaining('Revision 1 of "states" is not fit')]);
  expect(await refusal({ digest: 'a'.repeat(64) })).toEqual([404, expect.stringContaining('a'.repeat(64))]);
  await api.upload(other, 'a.txt', 'first');
  const first = await client.tarLink(other);
  const archive = await bytesOf(await fetch(first.url));
  await api.link(other, 'b.png', 5);
  expect(await refusal()).toEqual([409, expect.stringContaining('is UPLOADING')]);
  await api.upload(other, 'a.txt', 'second');
  expect((await bytesOf(await fetch(first.url))).equals(archive)).toBe(true);
  expect((await client.tarLink(other, { digest: first.digest })).digest).toBe(first.digest);
  await client.remove(other);
  expect((await errorOf(first.url))[0]).toBe(404);
});

test('a link is for its state of its dataset alone, and changed parts are rejected', async () => {
  const { url } = await client.tarLink(id);
  const query = new URL(url).search;
  for (const path of ['/status', '/zip', '/manifest', '/files/A.TXT', '/tar-link']) {
    const { status } = await fetch(url.replace(/\/tar\?.*/, path + query));
    expect([401, 403], path).toContain(status);
  }
  for (const part of ['account', 'digest', 'token', 'expires', 'signature']) {
    const changed = new URL(url);
    changed.searchParams.set(
      part,
      changed.searchParams.get(part)?.replace(/.$/, (last) => (last === '1' ? '2' : '1')) ?? '',
    );
    const invalid = [403, expect.stringContaining('The signature of this link is not valid')];
    expect(await errorOf(changed.href), part).toEqual(invalid);
  }
  const readLink = (await client.downloadLinks(id)).zip().replace('/zip?', '/tar?');
  expect((await errorOf(readLink))[0]).toBe(403);
});

test('a link ends when the token that made it is revoked', async () => {
  const second = await server.api();
  const link = await new TrainyardClient({ baseUrl: server.url, token: second.token }).tarLink(id, {
    seconds: 604_800,
  });
  expect((await fetch(link.sha256sums_url)).status).toBe(200);
  await revokeToken(server, second.token);
  for (const url of [link.url, link.sha256sums_url]) {
    expect(await errorOf(url)).toEqual([403, 'The token that made this link was revoked, and the link with it.']);
  }
});

test.each(['seconds=59', 'seconds=604801', 'seconds=', 'digest=abc'])('rejects %s with 422', async (query) => {
  expect((await api.raw('GET', `/${id}/tar-link?${query}`)).status).toBe(422);
});
