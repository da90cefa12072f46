import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { openCatalog } from '../../src/storage/catalog/open-catalog.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, environmentOf, startServer, type TestServer } from '../harness/server.js';

const run = promisify(execFile);

let server: TestServer;
let api: Api;
let client: TrainyardClient;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(() => discardServer(server));

const READER = `
import hashlib, json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps([[i.filename, i.compress_type, hashlib.sha256(z.read(i)).hexdigest()] for i in z.infolist()]))
`;

/** Reads names, methods and SHA-256 of an archive with Python's zipfile, an independent implementation. */
async function readByPython(bytes: ArrayBuffer): Promise<[string, number, string][]> {
  const folder = await mkdtemp(join(tmpdir(), 'trainyard-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'archive.zip');
  await writeFile(path, Buffer.from(bytes));
  return JSON.parse((await run('python3', ['-c', READER, path])).stdout);
}

test('all stored files are one archive sorted by name, byte for byte, through a link', async () => {
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
  const bytes = await response.arrayBuffer();
  expect(bytes.byteLength).toBe(Number(response.headers.get('content-length')));
  const sha256Of = (name: string) => createHash('sha256').update(files[name]!).digest('hex');
  expect(await readByPython(bytes)).toEqual(
    Object.keys(files)
      .sort()
      .map((name) => [name, 0, sha256Of(name)]),
  );
});

test('an empty dataset is an empty archive', async () => {
  const id = await api.newDataset();
  expect(await readByPython(await (await api.raw('GET', `/${id}/zip`)).arrayBuffer())).toEqual([]);
});

test('HEAD returns only the headers', async () => {
  const id = await api.newDataset('headers');
  await api.upload(id, 'a.txt', 'a caption');
  const whole = await (await api.raw('GET', `/${id}/zip`)).arrayBuffer();
  const head = await api.raw('HEAD', `/${id}/zip`);
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(whole.byteLength)]);
  expect(head.headers.get('content-disposition')).toBe('attachment; filename="headers.zip"');
});

test('the archive of a target needs nothing of the datasets that it links to', async () => {
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
  const found = await readByPython(await (await api.raw('GET', `/${id}/zip`)).arrayBuffer());
  expect(found.map(([name]) => name)).toEqual(['a.txt']);
});
