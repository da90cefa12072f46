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

const ask = (filenames: unknown, as = api) => as.json('POST', `/${id}/captions`, { filenames });
const sha256Of = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
const BOM = '\ufeff';

test('captions have text and SHA-256 in the order of the request, in any Unicode form and with duplicates', async () => {
  const texts = { 'a.txt': 'a dog', 'caf\u00e9 "1".txt': ' zwei\r\nZeilen\u2028 🚂\n', 'empty.txt': '' };
  for (const [name, text] of Object.entries(texts)) await api.upload(id, name, text);
  const captions = await client.bulk.captions(id, ['cafe\u0301 "1".txt', 'empty.txt', 'a.txt', 'empty.txt']);
  expect(captions).toEqual(
    (['caf\u00e9 "1".txt', 'empty.txt', 'a.txt', 'empty.txt'] as const).map((filename) => ({
      filename,
      sha256: sha256Of(texts[filename]),
      etag: `"${sha256Of(texts[filename])}"`,
      text: texts[filename],
    })),
  );
});

test('saving a text as it was returned loses only its byte order mark', async () => {
  await api.upload(id, 'a.txt', `${BOM}${BOM}a dog\r\n`);
  const [caption] = await client.bulk.captions(id, ['a.txt']);
  expect(caption?.sha256).toBe(sha256Of(`${BOM}${BOM}a dog\r\n`));
  await client.upload(id, 'a.txt', new Blob([caption?.text ?? '']));
  const bytes = Buffer.from(await (await client.file(id, 'a.txt')).arrayBuffer());
  expect(bytes.equals(Buffer.from(`${BOM}a dog\r\n`))).toBe(true);
});

test('a caption of 64 KiB has its text, and a larger one has none', async () => {
  await api.upload(id, 'large.txt', 'x'.repeat(65_536));
  await api.upload(id, 'larger.txt', 'x'.repeat(65_537));
  const captions = await client.bulk.captions(id, ['large.txt', 'larger.txt']);
  expect(captions.map(({ text }) => text?.length ?? null)).toEqual([65_536, null]);
  expect(captions[1]?.sha256).toBe(sha256Of('x'.repeat(65_537)));
});

test('the client can request any number', async () => {
  const names = Array.from({ length: 5 }, (_, i) => `${i}.txt`);
  for (const name of names) await api.upload(id, name, `caption ${name}`);
  const wanted = Array.from({ length: 2503 }, (_, i) => names[i % 5]!);
  const captions = await client.bulk.captions(id, wanted);
  expect(captions.map(({ filename }) => filename)).toEqual(wanted);
  expect(captions.every(({ filename, text }) => text === `caption ${filename}`)).toBe(true);
  expect(await client.bulk.captions(id, [])).toEqual([]);
});

test('an unknown name is reported with 404, and a file that is not a caption with 422', async () => {
  await api.upload(id, 'a.txt', 'a dog');
  await api.upload(id, 'a.jpg', await media.jpeg());
  const missing = await ask(['a.txt', 'b.txt']);
  expect([missing.status, missing.body.error_code]).toEqual([404, 404002]);
  expect(missing.body.error_message).toContain('"b.txt"');
  const stranger = await ask(['a.txt', 'a.jpg']);
  expect([stranger.status, stranger.body.error_code]).toEqual([422, 422002]);
  expect(stranger.body.error_message).toContain('a.jpg is not a caption');
  expect(stranger.body.detail).toEqual([{ path: 'filenames.1', message: expect.any(String) }]);
});

test.each([
  ['none', []],
  ['too many', Array.from({ length: 1001 }, (_, i) => `${i}.txt`)],
  ['no list', 'a.txt'],
  ['numbers', [7]],
  ['a name that is too long', ['x'.repeat(1025)]],
  ['nothing', undefined],
])('rejects %s as names', async (_what, filenames) => {
  expect((await ask(filenames)).status).toBe(422);
});

test('names that no file can have are not found', async () => {
  for (const name of ['', '\u0000', '../a.txt', '\ud800.txt', 'x'.repeat(1024)]) {
    expect((await ask([name])).status, JSON.stringify(name.slice(0, 20))).toBe(404);
  }
});
