import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import type { ZipForm } from '../../src/api/request-schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';
import { newRoot } from '../harness/mounting.js';

const run = promisify(execFile);

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
/** The last tests change it. */
let id: string;
let files: Map<string, string>;
beforeAll(async () => {
  ({ id, files } = await dataset('Rail wäy'));
});

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

/** Runs Python, an independent implementation of zip and csv, on bytes. */
async function byPython<T>(bytes: Buffer, script: string): Promise<T> {
  const path = join(await newRoot(), 'input');
  await writeFile(path, bytes);
  const program = `import base64, csv, json, sys, zipfile\npath = sys.argv[1]\n${script}`;
  const { stdout } = await run('python3', ['-c', program, path], { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
}

/** The files of an archive in Base64, by path: Vitest compares texts much faster than bytes. */
async function filesOf(archive: Buffer): Promise<Map<string, string>> {
  const script = `
z = zipfile.ZipFile(path)
assert z.testzip() is None
print(json.dumps([[i.filename, base64.b64encode(z.read(i)).decode()] for i in z.infolist()]))`;
  return new Map(await byPython<[string, string][]>(archive, script));
}

const textOf = (base64: string | undefined) => Buffer.from(base64 ?? '', 'base64').toString();

const CAPTIONS: Record<string, string> = {
  'a.txt': 'a "cat",\non two lines\r\n',
  'b.txt': '\ufeffé 🚂 = SUM(1)',
  'clip.txt': '',
  'c.TXT': 'of an extension in capitals',
  'alone.txt': 'without a picture',
};

/** Groups with repeats, one of them of regularisation images, and files without any. */
async function dataset(name: string) {
  const id = await api.newDataset(name);
  const files: Record<string, Buffer | string> = {
    ...CAPTIONS,
    'a.jpg': await media.jpeg({ seed: 1 }),
    'b.PNG': await media.png({ width: 700, height: 700, seed: 2 }),
    'c.jpg': await media.jpeg({ seed: 3 }),
    'clip.mp4': media.clip('faststart.mp4'),
    'uncaptioned.jpg': await media.jpeg({ seed: 4 }),
  };
  for (const [filename, bytes] of Object.entries(files))
    expect((await api.upload(id, filename, bytes)).status).toBe(200);
  await client.groups.save(id, 'cat woman', { repeats: 10, add: ['a.jpg', 'clip.mp4'] });
  await client.groups.save(id, 'woman', { is_reg: true, add: ['b.PNG'] });
  const entries = Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')] as const);
  return { id, files: new Map(entries) };
}

const zipOf = async (as?: ZipForm) => bytesOf(await client.exports.zip(id, { as }));

test('as files, each is under its name, also through a link', async () => {
  // Neither a rejected nor a pending upload is one.
  await api.upload(id, 'bad.jpg', media.damaged.html());
  await api.link(id, 'late.jpg', 5);
  const response = await fetch((await client.downloadLinks(id)).zip());
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/zip']);
  expect(response.headers.get('content-disposition')).toBe('attachment; filename="Rail wäy.zip"');
  const archive = await bytesOf(response);
  expect(await filesOf(archive)).toEqual(new Map([...files].sort()));
  const head = await api.raw('HEAD', `/${id}/zip`);
  expect([head.status, Number(head.headers.get('content-length'))]).toEqual([200, archive.length]);
  expect(await filesOf(await bytesOf(await api.raw('GET', `/${await api.newDataset()}/zip`)))).toEqual(new Map());
});

test('kohya folders have the repeats of the groups', async () => {
  const folders: Record<string, string> = { a: '10_cat woman', clip: '10_cat woman', b: 'reg/1_woman' };
  const expected = [...files].map(([name, bytes]) => {
    // sd-scripts reads no `.TXT`.
    const path = name === 'c.TXT' || name === 'b.PNG' ? name.toLowerCase() : name;
    return [`${folders[name.replace(/\.\w+$/, '')] ?? '1_Rail wäy'}/${path}`, bytes] as const;
  });
  expect(await filesOf(await zipOf('kohya'))).toEqual(new Map(expected));
});

test('metadata.jsonl has a line for each picture and clip, in the place of its caption', async () => {
  const found = await filesOf(await zipOf('metadata'));
  for (const [name, bytes] of files)
    if (!name.endsWith('.txt') && name !== 'c.TXT') expect(found.get(name)).toEqual(bytes);
  expect([...found.keys()].filter((name) => name.toLowerCase().endsWith('.txt'))).toEqual(['alone.txt', 'c.TXT']);
  const lines = textOf(found.get('metadata.jsonl')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { file_name: 'a.jpg', text: CAPTIONS['a.txt'] },
    { file_name: 'b.PNG', text: CAPTIONS['b.txt'] },
    { file_name: 'c.jpg', text: null },
    { file_name: 'clip.mp4', text: '' },
    { file_name: 'uncaptioned.jpg', text: null },
  ]);
});

test('captions alone are a zip archive, or a table that Python reads', async () => {
  const found = await filesOf(await zipOf('captions'));
  expect(Object.fromEntries([...found].map(([name, base64]) => [name, textOf(base64)]))).toEqual(CAPTIONS);
  const table = await client.exports.csv(id);
  expect(table.headers.get('content-disposition')).toBe('attachment; filename="Rail wäy captions.csv"');
  const script = "print(json.dumps(list(csv.reader(open(path, encoding='utf-8', newline='')))))";
  expect(await byPython(await bytesOf(table), script)).toEqual([
    ['file_name', 'text'],
    ['a.jpg', CAPTIONS['a.txt']],
    ['b.PNG', CAPTIONS['b.txt']],
    ['clip.mp4', ''],
    ['alone.txt', CAPTIONS['alone.txt']],
    ['c.TXT', CAPTIONS['c.TXT']],
  ]);
});

test('only a selection, or one kind of media, is downloaded', async () => {
  const namesIn = async (response: Response) => [...(await filesOf(await bytesOf(response))).keys()];
  expect(await namesIn(await client.exports.selection(id, ['clip.mp4', 'a.txt']))).toEqual(['a.txt', 'clip.mp4']);
  expect(await namesIn(await client.exports.selection(id, ['b.PNG'], { as: 'kohya' }))).toEqual(['reg/1_woman/b.png']);
  expect(await namesIn(await client.exports.zip(id, { only: 'videos' }))).toEqual(['clip.mp4', 'clip.txt']);
  expect(await namesIn(await client.exports.selection(id, [...files.keys()]))).toHaveLength(10);
  const many = Array.from({ length: 19_998 }, (_, i) => `${i}.txt`);
  const missing = client.exports.selection(id, ['a.txt', 'gone.txt', ...many]);
  await expect(missing).rejects.toMatchObject({ status: 404, message: expect.stringContaining('"gone.txt"') });
  const share = await client.shares.make(id);
  const visitor = new TrainyardClient({ baseUrl: server.url, token: share.secret });
  expect(await namesIn(await visitor.exports.selection(id, ['a.jpg']))).toEqual(['a.jpg']);
});

test('a zip continues at any byte as long as nothing changes; an earlier revision has the groups of its files', async () => {
  const read = (headers: Record<string, string>, method = 'GET') => api.raw(method, `/${id}/zip?as=kohya`, { headers });
  const head = await read({}, 'HEAD');
  const [size, etag] = [Number(head.headers.get('content-length')), head.headers.get('etag') ?? ''];
  // The end first: the server has sent none of the files before.
  const parts: Buffer[] = [];
  for (const from of [size - 1, size - 100, Math.floor(size / 2), 45, 1]) {
    const rest = await read({ range: `bytes=${from}-`, 'if-range': etag });
    expect([rest.status, rest.headers.get('content-range')]).toEqual([206, `bytes ${from}-${size - 1}/${size}`]);
    parts.push(await bytesOf(rest));
  }
  const whole = await bytesOf(await read({}));
  expect(whole.length).toBe(size);
  for (const part of parts) expect(part.equals(whole.subarray(size - part.length))).toBe(true);
  expect((await read({ 'if-none-match': etag })).status).toBe(304);
  expect((await read({ range: `bytes=${size}-` })).status).toBe(416);
  // A range that ends earlier gets all.
  expect((await read({ range: 'bytes=0-9' })).status).toBe(200);

  await client.bulk.saveCaptions(id, [{ filename: 'alone.txt', text: 'without a subject' }]);
  expect((await read({ range: 'bytes=9-', 'if-range': etag })).status).toBe(200);
  const [latest] = (await client.history.revisions(id)).revisions;
  await client.bulk.removeFiles(id, ['a.jpg', 'a.txt', 'clip.mp4', 'clip.txt']);
  const changed = await read({ range: 'bytes=9-', 'if-range': etag });
  expect([changed.status, changed.headers.get('etag') === etag]).toEqual([200, false]);
  const grouped = (names: Iterable<string>) => [...names].filter((name) => name.startsWith('10_'));
  expect(grouped((await filesOf(await bytesOf(changed))).keys())).toEqual([]);
  const earlier = await client.exports.zip(id, { as: 'kohya', revision: latest!.number });
  expect(grouped((await filesOf(await bytesOf(earlier))).keys())).toHaveLength(4);
});
