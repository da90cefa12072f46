import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { openCatalog } from '../../src/storage/catalog/open-catalog.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import {
  discardServer,
  environmentOf,
  revokeToken,
  startServer,
  type TestServer,
  temporaryFolder,
} from '../harness/server.js';

const run = promisify(execFile);
const UTF_8 = { env: { ...process.env, LC_ALL: 'C.UTF-8' } };

let server: TestServer;
let api: Api;
let client: TrainyardClient;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(() => discardServer(server));

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

/** Writes an archive to a new folder, which is removed with the test. */
async function written(bytes: Buffer) {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'archive');
  await writeFile(path, bytes);
  return { folder, path };
}

/** Unpacks with the system's tar, an independent implementation. */
async function unpacked(response: Response): Promise<{ folder: string; listed: string[]; files: Map<string, Buffer> }> {
  const { folder, path } = await written(await bytesOf(response));
  const { stdout } = await run('tar', ['--list', '--quoting-style=literal', '-f', path], UTF_8);
  await run('tar', ['-x', '-f', path, '-C', folder], UTF_8);
  await rm(path);
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
  const files = names.map(async ({ parentPath, name }) => [name, await readFile(join(parentPath, name))] as const);
  return { folder, listed: stdout.split('\n').filter(Boolean), files: new Map(await Promise.all(files)) };
}

const READER = `
import hashlib, json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps([[i.filename, i.compress_type, hashlib.sha256(z.read(i)).hexdigest()] for i in z.infolist()]))
`;

/** Reads names, methods and SHA-256 of an archive with Python's zipfile, an independent implementation. */
async function readByPython(response: Response): Promise<[string, number, string][]> {
  const { path } = await written(await bytesOf(response));
  return JSON.parse((await run('python3', ['-c', READER, path])).stdout);
}

describe('the chosen files', () => {
  const ask = (id: string, filenames: unknown) =>
    api.raw('POST', `/${id}/archive`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ filenames }),
    });

  test('are one tar archive, in the order of the request, byte for byte', async () => {
    const id = await api.newDataset();
    const long = `${'x'.repeat(200)} ünïcode 🚂`;
    // A file that is read ahead, one that is not, one of exactly two blocks, an empty one, and names that need a pax header.
    const files: Record<string, Buffer> = {
      'small.jpg': await media.jpeg({ width: 64, height: 64 }),
      'large.png': await media.png({ width: 700, height: 700, seed: 5 }),
      'two blocks.txt': Buffer.from('y'.repeat(1024)),
      'empty.txt': Buffer.alloc(0),
      [`${long}.txt`]: Buffer.from('a caption'),
    };
    for (const [name, bytes] of Object.entries(files)) await api.upload(id, name, bytes);
    expect(files['large.png']!.length).toBeGreaterThan(256 * 1024);
    const names = Object.keys(files).reverse();
    const response = await ask(id, names);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-tar']);
    const { listed, files: found } = await unpacked(response);
    expect(listed).toEqual(names);
    for (const [name, bytes] of Object.entries(files)) expect(found.get(name)?.equals(bytes), name).toBe(true);
  });

  test('are read ahead without loss, also hundreds of them', async () => {
    const id = await api.newDataset();
    const names = Array.from({ length: 300 }, (_, i) => `caption ${i}.txt`);
    const captions = names.map((filename) => ({ filename, text: filename.repeat(300) }));
    expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
    const { listed, files } = await unpacked(await ask(id, names));
    expect(listed).toEqual(names);
    for (const name of names) expect(files.get(name)?.toString()).toBe(name.repeat(300));
  });

  test('have to be there, or no archive is sent; their names may be in any Unicode form', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'a.txt', 'a');
    const response = await ask(id, ['a.txt', 'b.txt']);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error_message: expect.stringContaining('"b.txt"') });
    await api.upload(id, 'caf\u00e9.txt', 'a');
    expect((await unpacked(await ask(id, ['cafe\u0301.txt']))).listed).toEqual(['caf\u00e9.txt']);
  });
});

describe('a whole dataset', () => {
  test('is one ZIP archive sorted by name, byte for byte, through a link', async () => {
    const { id } = await client.create('Züge 1');
    const files: Record<string, Buffer> = {
      // Files that are read ahead, not read ahead, and empty, and names that are not ASCII.
      'small.jpg': await media.jpeg({ width: 64, height: 64 }),
      'large.png': await media.png({ width: 700, height: 700, seed: 5 }),
      'clip.mp4': media.clip('faststart.mp4'),
      'empty.txt': Buffer.alloc(0),
      'caf\u00e9 "1" \u{1f682}.txt': Buffer.from('a caption'),
      'c:\u732b\u200b.txt': Buffer.from('another'),
    };
    for (const [name, bytes] of Object.entries(files)) await api.upload(id, name, bytes);
    await api.upload(id, 'bad.jpg', media.damaged.html());
    await api.link(id, 'late.jpg', 5);
    expect(files['large.png']!.length).toBeGreaterThan(256 * 1024);

    const response = await fetch((await client.downloadLinks(id)).zip());
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/zip']);
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="Züge 1.zip"');
    const length = Number(response.headers.get('content-length'));
    expect((await bytesOf(response.clone())).length).toBe(length);
    const sha256Of = (name: string) => createHash('sha256').update(files[name]!).digest('hex');
    expect(await readByPython(response)).toEqual(
      Object.keys(files)
        .sort()
        .map((name) => [name, 0, sha256Of(name)]),
    );
    const head = await api.raw('HEAD', `/${id}/zip`);
    expect([head.status, Number(head.headers.get('content-length'))]).toEqual([200, length]);
    expect(head.headers.get('content-disposition')).toBe('attachment; filename="Züge 1.zip"');
    expect(await readByPython(await api.raw('GET', `/${await api.newDataset()}/zip`))).toEqual([]);
  });

  test('needs nothing of the datasets that it links to', async () => {
    const [{ id }, control] = [await client.create('target'), await client.create('control', { role: 'control' })];
    await api.upload(id, 'a.txt', 'a caption');
    await api.upload(control.id, 'a.jpg', await media.jpeg());
    await client.pairs.setLinks(id, { control_1: control.id });
    const { DATABASE_URL: databaseUrl } = await environmentOf(server.dataFolder);
    const { database, close } = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0, databaseUrl });
    onTestFinished(close);
    // What can't be read is not read: the status of the target can't do without this row.
    await database.query.updateTable('file').set({ facts: 'no JSON' }).where('dataset_id', '=', control.id).execute();
    await database.query.updateTable('dataset').set({ version: 1000 }).where('id', '=', control.id).execute();
    expect((await api.status(id)).status).toBe(500);

    const found = await readByPython(await api.raw('GET', `/${id}/zip`));
    expect(found.map(([name]) => name)).toEqual(['a.txt']);
  });
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
    for (const path of ['/status', '/zip', '/files/A.TXT']) {
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
});
