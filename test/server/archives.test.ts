import { execFile } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import type { WireNewToken } from '../../src/api/account-schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { revokeToken } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';
import { newRoot } from '../harness/mounting.js';

const run = promisify(execFile);
const UTF_8 = { env: { ...process.env, LC_ALL: 'C.UTF-8' } };

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

/** Unpacks with the system's tar, an independent implementation, into a folder that is removed with the test. */
async function unpacked(response: Response): Promise<{ folder: string; listed: string[]; files: Map<string, Buffer> }> {
  const folder = await newRoot();
  const path = join(folder, 'archive');
  await writeFile(path, await bytesOf(response));
  const { stdout } = await run('tar', ['--list', '--quoting-style=literal', '-f', path], UTF_8);
  await run('tar', ['-x', '-f', path, '-C', folder], UTF_8);
  await rm(path);
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
  const files = names.map(async ({ parentPath, name }) => [name, await readFile(join(parentPath, name))] as const);
  return { folder, listed: stdout.split('\n').filter(Boolean), files: new Map(await Promise.all(files)) };
}

test('chosen files are one tar archive, in the order of the request, byte for byte', async () => {
  const id = await api.newDataset();
  const long = `${'x'.repeat(200)} ünïcode 🚂`;
  // A file that is read ahead, one that is not, one of exactly two blocks, an empty one, and names that need a pax header.
  const files: Record<string, Buffer> = {
    'small.jpg': await media.jpeg({ width: 64, height: 64 }),
    'large.png': await media.png({ width: 700, height: 700, seed: 5 }),
    'two blocks.txt': Buffer.from('y'.repeat(1024)),
    'empty.txt': Buffer.alloc(0),
    [`${long}.txt`]: Buffer.from('a caption'),
    'caf\u00e9.txt': Buffer.from('another'),
  };
  for (const [name, bytes] of Object.entries(files)) await api.upload(id, name, bytes);
  expect(files['large.png']!.length).toBeGreaterThan(256 * 1024);
  const names = Object.keys(files).reverse();
  // In another Unicode form.
  const response = await client.bulk.archive(id, ['cafe\u0301.txt', ...names.slice(1)]);
  expect(response.headers.get('content-type')).toBe('application/x-tar');
  const { listed, files: found } = await unpacked(response);
  expect(listed).toEqual(names);
  for (const [name, bytes] of Object.entries(files)) expect(found.get(name)?.equals(bytes), name).toBe(true);
  const message = expect.stringContaining('"b.txt"');
  await expect(client.bulk.archive(id, ['empty.txt', 'b.txt'])).rejects.toMatchObject({ status: 404, message });
});

describe('the mounted folder', () => {
  let id: string;
  let image: Buffer;
  beforeAll(async () => {
    image = await media.png({ width: 300, height: 300, seed: 5 });
    id = await api.newDataset('yard é');
    await api.upload(id, 'A.PNG', image);
    await api.upload(id, 'A.TXT', 'a yard');
    await api.upload(id, `${'ü'.repeat(120)}.png`, image);
    await api.upload(id, `${'ü'.repeat(120)}.txt`, 'another');
  });

  const errorOf = async (url: string) => {
    const response = await fetch(url);
    return [response.status, ((await response.json()) as { error_message: string }).error_message];
  };

  test('is a tar archive through a link, and the lines for sha256sum, without a token', async () => {
    const link = await client.tarLink(id);
    expect(link).toMatchObject({ name: 'yard é', files: 4, bytes: 2 * image.length + 13, dataset_id: id });
    expect(link.url).not.toContain(api.token);
    const response = await fetch(link.url);
    expect(Number(response.headers.get('content-length'))).toBe((await bytesOf(response.clone())).length);
    const { folder, listed, files } = await unpacked(response);
    expect(listed).toEqual(
      ['A.png', 'A.txt', `${'ü'.repeat(120)}.png`, `${'ü'.repeat(120)}.txt`, '.mount.json'].map(
        (name) => `yard é/${name}`,
      ),
    );
    expect(files.get('A.png')?.equals(image)).toBe(true);
    await writeFile(join(folder, 'sums'), await bytesOf(await fetch(link.sha256sums_url)));
    await run('sha256sum', ['-c', '--strict', 'sums'], { cwd: folder });
  });

  test('has the same bytes for one digest, so that a download can be resumed', async () => {
    const { url, digest } = await client.tarLink(id);
    const archive = await bytesOf(await fetch(url));
    // The same content at another time.
    await api.upload(id, 'A.PNG', await media.png({ width: 30, height: 30 }));
    await api.upload(id, 'A.PNG', image);
    expect((await client.tarLink(id)).digest).toBe(digest);
    const whole = await fetch(url);
    const etag = whole.headers.get('etag') ?? '';
    expect((await bytesOf(whole)).equals(archive)).toBe(true);
    for (const from of [0, 511, image.length, archive.length - 1]) {
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

  test('is that of a READY state: the current one, a revision, or a digest; a link stays with its state', async () => {
    const other = await api.newDataset('states');
    const rejection = async (query: object = {}) =>
      client.tarLink(other, query).catch((error) => [error.status, error.message]);
    expect(await rejection()).toEqual([
      409,
      '"states" is DRAFT, and only a READY dataset can be mounted. To see why, run: trainyard status "states"',
    ]);
    await api.upload(other, 'a.png', image);
    expect(await rejection({ revision: 1 })).toEqual([
      409,
      expect.stringContaining('Revision 1 of "states" is not fit'),
    ]);
    expect(await rejection({ digest: 'a'.repeat(64) })).toEqual([404, expect.stringContaining('a'.repeat(64))]);
    await api.upload(other, 'a.txt', 'first');
    const first = await client.tarLink(other);
    const archive = await bytesOf(await fetch(first.url));
    await api.upload(other, 'a.txt', 'second');
    expect((await bytesOf(await fetch(first.url))).equals(archive)).toBe(true);
    expect((await client.tarLink(other, { digest: first.digest })).digest).toBe(first.digest);
    await client.remove(other);
    expect((await errorOf(first.url))[0]).toBe(404);
  });

  test('a link is for its state of its dataset alone, and ends with the token that made it', async () => {
    const { secret, expires_at } = (await api.json<WireNewToken>('POST', '/tokens', { expires_in: 600 })).body;
    const brief = new TrainyardClient({ baseUrl: server.url, token: secret });
    expect(await brief.tarLink(id)).toMatchObject({ expires_at });
    const { token } = await server.api();
    const { url, sha256sums_url: sumsUrl } = await new TrainyardClient({ baseUrl: server.url, token }).tarLink(id);
    const query = new URL(url).search;
    for (const path of ['/status', '/zip', '/files/A.TXT']) {
      const { status } = await fetch(url.replace(/\/tar\?.*/, path + query));
      expect([401, 403], path).toContain(status);
    }
    for (const part of ['account', 'digest', 'token', 'expires', 'signature']) {
      const changed = new URL(url);
      const value = changed.searchParams.get(part) ?? '';
      changed.searchParams.set(
        part,
        value.replace(/.$/, (last) => (last === '1' ? '2' : '1')),
      );
      const invalid = [403, expect.stringContaining('The signature of this link is not valid')];
      expect(await errorOf(changed.href), part).toEqual(invalid);
    }
    const readLink = (await client.downloadLinks(id)).zip().replace('/zip?', '/tar?');
    expect((await errorOf(readLink))[0]).toBe(403);
    expect((await fetch(sumsUrl)).status).toBe(200);
    await revokeToken(server, token);
    const ended = [403, 'The token that made this link was revoked, and the link with it.'];
    await expect.poll(() => errorOf(url)).toEqual(ended);
    expect(await errorOf(sumsUrl)).toEqual(ended);
  });
});
