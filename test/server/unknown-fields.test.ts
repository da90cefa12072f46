import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTES, type Route } from '../../src/api/routes.js';
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

test('a misspelt field is 422, and nothing is done', async () => {
  const captions = [{ filename: 'a.txt', text: 'mine', if_match: null }];
  const answer = await api.json('PUT', `/${id}/captions`, { captions });
  const problem = { path: 'captions.0', message: 'Unknown field: "if_match"' };
  expect(answer).toMatchObject({ status: 422, body: { detail: [problem] } });
  expect(answer.body.error_message).toContain(problem.message);
  expect(await textOf()).toBe('a dog');
});

test('each body of our own routes rejects a misspelt field', () => {
  const open = Object.entries<Route>(ROUTES).flatMap(([name, { body, bodyType }]) => {
    if (body === undefined || bodyType !== undefined) return [];
    const issues = body.safeParse({ misspelt: 1 }).error?.issues ?? [];
    return issues.some(({ code }) => code === 'unrecognized_keys') ? [] : [name];
  });
  expect(open).toEqual(['dataset.create', 'upload.reserve']);
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
