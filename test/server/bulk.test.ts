import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let client: TrainyardClient;
let id: string;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(() => discardServer(server));
beforeEach(async () => {
  id = await api.newDataset();
});

const etagOf = (text: string) => `"${createHash('sha256').update(text).digest('hex')}"`;
const current = (text: string) => ({ etag: etagOf(text), size_bytes: Buffer.byteLength(text) });
const nameOf = (i: number) => `${String(i).padStart(4, '0')}.txt`;
const textsOf = async (names: readonly string[]) => (await client.bulk.captions(id, names)).map(({ text }) => text);

test('captions are saved, each if its ETag is the expected one, and the others say what is there', async () => {
  await api.upload(id, 'a.txt', 'a dog');
  await api.upload(id, 'b.txt', 'a cat');
  const saved = await client.bulk.saveCaptions(id, [
    { filename: 'a.txt', text: 'a dog, running', ifMatch: etagOf('a dog') },
    { filename: 'b.txt', text: 'mine', ifMatch: etagOf('another text') },
    { filename: 'c.txt', text: 'new', ifMatch: null },
    { filename: 'd.txt', text: 'no file to replace', ifMatch: etagOf('x') },
    { filename: 'cafe\u0301.txt', text: '' },
    { filename: 'zero.txt', text: 'a\0b' },
  ]);
  expect(saved).toMatchObject([
    { filename: 'a.txt', saved: true, file: { etag: etagOf('a dog, running'), characters: 14 } },
    { filename: 'b.txt', saved: false, current: current('a cat') },
    { filename: 'c.txt', saved: true, file: { etag: etagOf('new') } },
    { filename: 'd.txt', saved: false, current: null },
    { filename: 'caf\u00e9.txt', saved: true, file: { warnings: [{ code: 'BLANK_CAPTION' }] } },
    { filename: 'zero.txt', saved: false, problem: { code: 'CAPTION_HAS_NUL' } },
  ]);
  expect(await textsOf(['a.txt', 'b.txt', 'c.txt', 'caf\u00e9.txt'])).toEqual(['a dog, running', 'a cat', 'new', '']);
  expect((await api.status(id)).body.counts).toMatchObject({ captions: 4, pending: 0, rejected: 0 });
});

test('a READY dataset stays READY while its captions are saved, and every edit changes its digest', async () => {
  await api.upload(id, 'a.png', await media.png());
  await api.upload(id, 'a.txt', 'a dog');
  const { digest } = (await api.status(id)).body;
  const abort = new AbortController();
  const statuses: string[] = [];
  const watching = (async () => {
    for await (const { status } of client.events(id, { signal: abort.signal })) statuses.push(status);
  })().catch(() => {});
  for (let i = 0; i < 10; i++) {
    await client.bulk.saveCaptions(id, [{ filename: 'a.txt', text: `edit ${i}` }]);
    statuses.push((await api.status(id)).body.status);
  }
  abort.abort();
  await watching;
  expect(new Set(statuses)).toEqual(new Set(['READY']));
  expect((await api.status(id)).body.digest).not.toBe(digest);
});

test('a thousand captions are saved, and removed, in one request each', async () => {
  const names = Array.from({ length: 1000 }, (_, i) => nameOf(i));
  const saved = await client.bulk.saveCaptions(
    id,
    names.map((filename) => ({ filename, text: `text of ${filename}`, ifMatch: null })),
  );
  expect(saved.filter((each) => !each.saved)).toEqual([]);
  expect(await textsOf(names)).toEqual(names.map((name) => `text of ${name}`));
  const kept = nameOf(7);
  const removed = await client.bulk.removeFiles(id, [...names, 'missing.txt'], {
    ifMatch: { [kept]: etagOf('other') },
  });
  expect(removed.filter(({ deleted }) => !deleted)).toEqual([
    { filename: kept, deleted: false, current: current(`text of ${kept}`) },
    { filename: 'missing.txt', deleted: false },
  ]);
  expect(await api.filenames(id)).toEqual([kept]);
});

test('a request with a name twice, another file than a caption, or invalid Unicode saves nothing', async () => {
  for (const captions of [
    [
      { filename: 'a.txt', text: '1' },
      { filename: 'a.txt', text: '2' },
    ],
    [{ filename: 'a.png', text: '1' }],
    [{ filename: 'a.exe', text: '1' }],
    [{ filename: '../a.txt', text: '1' }],
    [{ filename: 'a.txt', text: '\ud800' }],
    [{ filename: 'a.txt', text: 'x'.repeat(65_537) }],
    [{ filename: 'a.txt', text: '1', ifMatch: 'no tag' }],
    [],
  ]) {
    const valid = captions.length === 0 ? [] : [{ filename: 'valid.txt', text: 'v' }];
    const { status } = await api.json('PUT', `/${id}/captions`, { captions: [...valid, ...captions] });
    expect(status).toBeOneOf([415, 422]);
  }
  expect(await api.filenames(id)).toEqual([]);
  expect((await api.json('PUT', '/missing/captions', { captions: [{ filename: 'a.txt', text: '' }] })).status).toBe(
    404,
  );
});

test('many uploads are withdrawn at once, and stored files stay', async () => {
  await api.upload(id, 'a.txt', 'kept');
  await api.upload(id, 'bad.png', 'not an image');
  await api.links(id, { 'a.txt': 3, 'b.mp4': 10 });
  expect(await client.bulk.withdraw(id, ['a.txt', 'b.mp4', 'bad.png', 'none.txt'])).toEqual([
    { filename: 'a.txt', withdrawn: true },
    { filename: 'b.mp4', withdrawn: true },
    { filename: 'bad.png', withdrawn: true },
    { filename: 'none.txt', withdrawn: false },
  ]);
  expect((await api.status(id)).body.counts).toMatchObject({ pending: 0, rejected: 0, captions: 1 });
});
