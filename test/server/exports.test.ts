import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { ZipForm } from '../../src/api/request-schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { temporaryFolder } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const run = promisify(execFile);

const server = await sharedServer();
const api = await server.api();
let client: TrainyardClient;
/** No test changes it. */
let shared: Awaited<ReturnType<typeof dataset>>;
beforeAll(async () => {
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  shared = await dataset('rail way');
});

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

/** Runs Python, an independent implementation of zip and csv, on bytes. */
async function byPython<T>(bytes: Buffer, script: string): Promise<T> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'input');
  await writeFile(path, bytes);
  const { stdout } = await run(
    'python3',
    ['-c', `import base64, csv, json, sys, zipfile\npath = sys.argv[1]\n${script}`, path],
    {
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  return JSON.parse(stdout);
}

/** The files of an archive, by path. */
async function filesOf(archive: Buffer): Promise<Map<string, Buffer>> {
  const script = `
z = zipfile.ZipFile(path)
assert z.testzip() is None
print(json.dumps([[i.filename, base64.b64encode(z.read(i)).decode()] for i in z.infolist()]))`;
  const entries = await byPython<[string, string][]>(archive, script);
  return new Map(entries.map(([name, text]) => [name, Buffer.from(text, 'base64')]));
}

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
  return { id, files: new Map(Object.entries(files).map(([filename, bytes]) => [filename, Buffer.from(bytes)])) };
}

let changed: ReturnType<typeof dataset> | undefined;
/** A dataset that tests change. */
const changing = () => (changed ??= dataset('changing'));

const zipOf = async (id: string, as?: ZipForm) => bytesOf(await client.exports.zip(id, { as }));

test('as files, each is under its name', async () => {
  expect(await filesOf(await zipOf(shared.id, 'files'))).toEqual(new Map([...shared.files].sort()));
});

test('kohya folders have the repeats of the groups', async () => {
  const folders: Record<string, string> = { a: '10_cat woman', clip: '10_cat woman', b: 'reg/1_woman' };
  const expected = [...shared.files].map(([name, bytes]) => {
    return [`${folders[name.replace(/\.\w+$/, '')] ?? '1_rail way'}/${name}`, bytes] as const;
  });
  expect(await filesOf(await zipOf(shared.id, 'kohya'))).toEqual(new Map(expected));
});

test('metadata.jsonl has a line for each picture and clip, in the place of its caption', async () => {
  const found = await filesOf(await zipOf(shared.id, 'metadata'));
  for (const [name, bytes] of shared.files)
    if (!name.endsWith('.txt') && name !== 'c.TXT') expect(found.get(name)).toEqual(bytes);
  expect([...found.keys()].filter((name) => name.toLowerCase().endsWith('.txt'))).toEqual(['alone.txt', 'c.TXT']);
  const lines = found.get('metadata.jsonl')!.toString().trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { file_name: 'a.jpg', text: CAPTIONS['a.txt'] },
    { file_name: 'b.PNG', text: CAPTIONS['b.txt'] },
    { file_name: 'c.jpg', text: null },
    { file_name: 'clip.mp4', text: '' },
    { file_name: 'uncaptioned.jpg', text: null },
  ]);
});

test('captions alone are a zip archive, or a table that Python reads', async () => {
  const found = await filesOf(await zipOf(shared.id, 'captions'));
  expect(Object.fromEntries([...found].map(([name, bytes]) => [name, bytes.toString()]))).toEqual(CAPTIONS);
  const table = await client.exports.csv(shared.id);
  expect(table.headers.get('content-disposition')).toBe('attachment; filename="rail way captions.csv"');
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

test.each(['files', 'kohya', 'captions'] as const)('a zip of %s continues at any byte', async (as) => {
  const id = (await changing()).id;
  const read = (headers: Record<string, string>, method = 'GET') => api.raw(method, `/${id}/zip?as=${as}`, { headers });
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
  expect((await filesOf(whole)).size).toBe(as === 'captions' ? 5 : 10);
  expect((await read({ 'if-none-match': etag })).status).toBe(304);
  expect((await read({ range: `bytes=${size}-` })).status).toBe(416);
  // A range that ends earlier gets all.
  expect((await read({ range: 'bytes=0-9' })).status).toBe(200);
  await api.upload(id, 'a.txt', `changed after ${as}`);
  const changed = await read({ range: 'bytes=9-', 'if-range': etag });
  expect([changed.status, changed.headers.get('etag') === etag]).toEqual([200, false]);
  expect((await filesOf(await bytesOf(changed))).size).toBe(as === 'captions' ? 5 : 10);
});

test('only a selection, or one kind of media, is downloaded', async () => {
  const { id, files } = shared;
  const namesIn = async (response: Response) => [...(await filesOf(await bytesOf(response))).keys()];
  expect(await namesIn(await client.exports.selection(id, ['clip.mp4', 'a.txt']))).toEqual(['a.txt', 'clip.mp4']);
  expect(await namesIn(await client.exports.selection(id, ['b.PNG'], { as: 'kohya' }))).toEqual(['reg/1_woman/b.PNG']);
  expect(await namesIn(await client.exports.zip(id, { only: 'videos' }))).toEqual(['clip.mp4', 'clip.txt']);
  expect(await namesIn(await client.exports.selection(id, [...files.keys()]))).toHaveLength(10);
  const missing = client.exports.selection(id, ['a.txt', 'gone.txt']);
  await expect(missing).rejects.toMatchObject({ status: 404, message: expect.stringContaining('"gone.txt"') });
  // A share downloads too.
  const share = await client.shares.make(id);
  const visitor = new TrainyardClient({ baseUrl: server.url, token: share.secret });
  expect(await namesIn(await visitor.exports.selection(id, ['a.jpg']))).toEqual(['a.jpg']);
});

test('an earlier revision is exported with the groups of its files', async () => {
  const { id } = await changing();
  const [{ number } = { number: 0 }] = (await client.history.revisions(id)).revisions;
  await client.bulk.removeFiles(id, ['a.jpg', 'a.txt', 'clip.mp4', 'clip.txt']);
  const names = async (revision?: number) =>
    [
      ...(
        await filesOf(await bytesOf(await client.exports.zip(id, { as: 'kohya', ...(revision && { revision }) })))
      ).keys(),
    ].filter((name) => name.startsWith('10_'));
  expect(await names(number)).toHaveLength(4);
  expect(await names()).toEqual([]);
});
