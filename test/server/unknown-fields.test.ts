import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let id: string;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  id = await api.newDataset('dogs');
  await api.upload(id, 'a.txt', 'a dog');
});
afterAll(() => discardServer(server));

const OTHER_ETAG = `"${'0'.repeat(64)}"`;
const textOf = async () => (await api.raw('GET', `/${id}/files/a.txt`)).text();

test.each<[string, string, () => string, object, { path: string; message: string }]>([
  ['a token', 'POST', () => '/tokens', { readonly: true }, { path: '', message: 'Unknown field: "readonly"' }],
  [
    'a token, several times',
    'POST',
    () => '/tokens',
    { dataset: ['dogs'], expires: '1d' },
    { path: '', message: 'Unknown fields: "dataset", "expires"' },
  ],
  ['a share', 'POST', () => `/${id}/shares`, { expires: 1 }, { path: '', message: 'Unknown field: "expires"' }],
  ['a session', 'POST', () => '/session', { code: 'x', token: 'y' }, { path: '', message: 'Unknown field: "token"' }],
  [
    'a webhook',
    'POST',
    () => '/webhooks',
    { url: 'https://queue.example', event: ['dataset.ready'] },
    { path: '', message: 'Unknown field: "event"' },
  ],
  [
    'a change of a webhook',
    'PATCH',
    () => '/webhooks/x',
    { disabled: true },
    { path: '', message: 'Unknown field: "disabled"' },
  ],
  [
    'a saved caption',
    'PUT',
    () => `/${id}/captions`,
    { captions: [{ filename: 'a.txt', text: 'mine', if_match: null }] },
    { path: 'captions.0', message: 'Unknown field: "if_match"' },
  ],
  [
    'saved captions',
    'PUT',
    () => `/${id}/captions`,
    { captions: [{ filename: 'a.txt', text: 'mine' }], ifMatch: { 'a.txt': null } },
    { path: '', message: 'Unknown field: "ifMatch"' },
  ],
  [
    'removed files',
    'DELETE',
    () => `/${id}/files`,
    { filenames: ['a.txt'], ifmatch: { 'a.txt': OTHER_ETAG } },
    { path: '', message: 'Unknown field: "ifmatch"' },
  ],
  [
    'removed uploads',
    'DELETE',
    () => `/${id}/uploads`,
    { filenames: ['a.txt'], ifMatch: {} },
    { path: '', message: 'Unknown field: "ifMatch"' },
  ],
  [
    'captions to read',
    'POST',
    () => `/${id}/captions`,
    { filenames: ['a.txt'], revision: 1 },
    { path: '', message: 'Unknown field: "revision"' },
  ],
  [
    'an archive',
    'POST',
    () => `/${id}/archive`,
    { filenames: ['a.txt'], revision: 1 },
    { path: '', message: 'Unknown field: "revision"' },
  ],
  [
    'a pin',
    'PUT',
    () => `/${id}/revisions/1/pin`,
    { notes: 'the best' },
    { path: '', message: 'Unknown field: "notes"' },
  ],
])('a misspelt field of %s is 422, and nothing is done', async (_what, method, path, body, problem) => {
  const answer = await api.json(method, path(), body);
  expect(answer).toMatchObject({ status: 422, body: { detail: [problem] } });
  expect(answer.body.error_message).toContain(problem.message);
  expect(await textOf()).toBe('a dog');
});

test('a condition of a file that is not to be removed is 422, and nothing is removed', async () => {
  const body = { filenames: ['a.txt'], ifMatch: { 'A.txt': OTHER_ETAG } };
  const answer = await api.json('DELETE', `/${id}/files`, body);
  const problem = { path: 'ifMatch.A.txt', message: 'names a file that is not in filenames' };
  expect(answer).toMatchObject({ status: 422, body: { detail: [problem] } });
  expect(await textOf()).toBe('a dog');
});

test('a condition counts for a name in another Unicode form', async () => {
  await api.upload(id, 'caf\u00e9.txt', 'a cup');
  const body = { filenames: ['caf\u00e9.txt'], ifMatch: { 'cafe\u0301.txt': OTHER_ETAG } };
  const answer = await api.json('DELETE', `/${id}/files`, body);
  expect(answer).toMatchObject({ status: 200, body: { files: [{ deleted: false }] } });
});

test('bodies of the hosted API may have more fields', async () => {
  expect((await api.json('POST', '', { name: 'cats', visibility: 'private' })).status).toBe(200);
  const links = { filenameToByteSize: { 'b.txt': 5 }, expires: 60 };
  expect((await api.json('POST', `/${id}/get-upload-endpoint`, links)).status).toBe(200);
});
