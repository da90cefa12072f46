import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type OpenCatalog, openCatalog } from '../../src/storage/catalog/open-catalog.js';
import { Api, put } from '../harness/api.js';
import { discardServer, environmentOf, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let opened: OpenCatalog;
let api: Api;
let id: string;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  const { DATABASE_URL: databaseUrl } = await environmentOf(server.dataFolder);
  opened = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0, databaseUrl });
  const { token } = await opened.accounts.createToken('default', opened.now(), { name: 'laptop' });
  api = new Api(server.url, token);
});
afterAll(async () => {
  await opened?.close();
  await discardServer(server);
});
beforeEach(async () => {
  id = await api.newDataset();
});

const revisions = () =>
  opened.database.query.selectFrom('revision').selectAll().where('dataset_id', '=', id).orderBy('number').execute();
const past = () =>
  opened.database.query
    .selectFrom('past_file')
    .selectAll()
    .where('dataset_id', '=', id)
    .orderBy('removed_in')
    .execute();
/** What each revision did: how, and the numbers of files added, removed and replaced. */
const summary = async () =>
  (await revisions()).map(({ how, added, removed, changed }) => [how, added, removed, changed]);

function upload(filename: string, text: string, headers: Record<string, string> = {}) {
  const form = new FormData();
  form.append('file', new Blob([text]), filename);
  return api.request<{ revision?: number }>('POST', `/${id}/upload`, { body: form, headers });
}

function send<T>(method: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  const init = { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } };
  return api.request<T & { revision?: number }>(method, `/${id}${path}`, init);
}

const storedText = (filename: string) =>
  eventually(async () => {
    const answer = await api.raw('GET', `/${id}/files/${filename}`);
    return answer.status === 200 ? answer.text() : undefined;
  });

test('every way to replace or remove a file keeps the earlier one, and who did it', async () => {
  expect((await upload('a.txt', 'first')).body.revision).toBe(1);
  // Its upload through a link has no token.
  expect((await put(await api.link(id, 'a.txt', 6), 'second')).status).toBe(200);
  await eventually(async () => ((await storedText('a.txt')) === 'second' ? true : undefined));
  const saved = await send('PUT', '/captions', { captions: [{ filename: 'a.txt', text: 'third' }] });
  expect(saved.body.revision).toBe(3);
  expect((await api.request('DELETE', `/${id}/files/a.txt`)).body).toMatchObject({ deleted: true, revision: 4 });
  expect((await upload('a.txt', 'fifth')).body.revision).toBe(5);
  expect((await send('DELETE', '/files', { filenames: ['a.txt', 'no.txt'] })).body.revision).toBe(6);
  expect(await summary()).toEqual([
    ['upload', 1, 0, 0],
    ['upload', 0, 0, 1],
    ['edit', 0, 0, 1],
    ['delete', 0, 1, 0],
    ['upload', 1, 0, 0],
    ['delete', 0, 1, 0],
  ]);
  expect(new Set((await revisions()).map(({ token_name }) => token_name))).toEqual(new Set(['laptop']));
  const files = await past();
  expect(files.map(({ added_in, removed_in, size_bytes }) => [added_in, removed_in, size_bytes])).toEqual([
    ...[
      [1, 2, 5],
      [2, 3, 6],
      [3, 4, 5],
      [5, 6, 5],
    ],
  ]);
});

test('uploads, links and captions of one token are one revision, and so are those of one named change', async () => {
  await upload('a.txt', 'one');
  const { uploads } = (await api.links(id, { 'b.txt': 3, 'c.txt': 5 })).body;
  expect((await put(uploads['b.txt']!.upload_url, 'two')).status).toBe(200);
  expect((await put(uploads['c.txt']!.upload_url, 'three')).status).toBe(200);
  await eventually(async () => ((await api.filenames(id)).length === 3 ? true : undefined));
  expect(await summary()).toEqual([['upload', 3, 0, 0]]);
  const push = { 'trainyard-change': 'push; 3f2a' };
  await upload('d.txt', 'four', push);
  const linked = await send<{ uploads: Record<string, { upload_url: string }> }>(
    ...(['POST', '/get-upload-endpoint', { filenameToByteSize: { 'e.txt': 4 } }, push] as const),
  );
  expect((await put(linked.body.uploads['e.txt']!.upload_url, 'five')).status).toBe(200);
  await storedText('e.txt');
  await send('PUT', '/captions', { captions: [{ filename: 'f.txt', text: 'six' }] }, push);
  await api.request('DELETE', `/${id}/files/a.txt`, { headers: push });
  expect((await summary()).slice(1)).toEqual([['push', 3, 1, 0]]);
  await upload('g.txt', 'seven', { 'trainyard-change': 'push; 3f2b' });
  expect((await summary()).slice(2)).toEqual([['push', 1, 0, 0]]);
});

test.each(['push;', 'delete; 1', `push; ${'x'.repeat(65)}`, 'push; é'])(
  'the change "%s" is rejected, and nothing is written',
  async (change) => {
    const headers = { 'trainyard-change': Buffer.from(change).toString('latin1') };
    const answers = [
      await upload('a.txt', 'text', headers),
      await send('PUT', '/captions', { captions: [{ filename: 'a.txt', text: 'text' }] }, headers),
      await send('DELETE', '/files', { filenames: ['a.txt'] }, headers),
      await send('POST', '/get-upload-endpoint', { filenameToByteSize: { 'a.txt': 4 } }, headers),
    ];
    for (const { status, body } of answers) {
      expect([status, body.error_message]).toEqual([422, expect.stringContaining('Trainyard-Change')]);
    }
    expect((await api.status(id)).body.counts).toMatchObject({ captions: 0, pending: 0 });
  },
);
