import { afterAll, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import { headOf, RawClient } from '../faults/raw-client.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let id: string;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
  id = await api.newDataset();
});
afterAll(() => discardServer(server));

/** Canonical ordering of these takes time that grows with the square of their number. */
const MARKS = 'a\u0301\u0323'.repeat(150_000);

function post(path: string, body: string) {
  return api.request('POST', path, { body, headers: { 'content-type': 'application/json' } });
}

test.each([
  ['the name of a new dataset', () => api.create(MARKS)],
  ['a file in a batch of links', () => api.links(id, { [`${MARKS}.txt`]: 5 })],
  ['a caption to read', () => api.json('POST', `/${id}/captions`, { filenames: [`${MARKS}.txt`] })],
  ['a file of an archive', () => api.json('POST', `/${id}/archive`, { filenames: [`${MARKS}.txt`] })],
])('a name of 300,000 combining marks for %s is refused before it is normalized', { timeout: 5000 }, async (_, ask) => {
  const { status, body } = await ask();
  expect(status).toBe(422);
  expect(body.error_message?.length).toBeLessThan(1000);
});

test.each([
  ['a body for signing in', 'POST', `${BASE_PATH}/session`],
  ['a body of a GET', 'GET', '/healthz'],
])('%s, which needs no token, takes nothing of the memory for bodies', async (_, method, path) => {
  const client = await RawClient.open(server.url);
  await client.send(headOf(method, new URL(server.url + path), { 'Content-Length': 17_000 }));
  expect((await eventually(() => client.answer())).body.error_code).toBe(413001);
  await client.hangUp();
});

test('a decomposed name of 255 bytes once composed is accepted', async () => {
  const filename = `${'é'.repeat(125)}.txt`;
  expect((await api.upload(id, filename.normalize('NFD'), 'a caption')).body.filename).toBe(filename);
});

test('a form of hundreds of thousands of empty files is refused', async () => {
  const part = '--B\r\nContent-Disposition: form-data; name="x"; filename="a.txt"\r\n\r\n\r\n';
  const { status, body } = await api.request('POST', `/${id}/upload`, {
    body: part.repeat(200_000),
    headers: { 'content-type': 'multipart/form-data; boundary=B' },
  });
  expect({ status, message: body.error_message }).toEqual({
    status: 422,
    message: 'The form has more than 16 parts. Send one part named file per request.',
  });
});

test.each([
  ['megabytes of brackets', '['.repeat(28_000_000), /32 levels/],
  ['megabytes of objects', '{"a":'.repeat(4_000_000), /32 levels/],
  ['millions of values', `[${'0,'.repeat(8_000_000)}0]`, /200000 values/],
  ['millions of empty lists', `[${'[],'.repeat(8_000_000)}[]]`, /200000 values/],
])('a body of %s is refused before it is parsed', async (_, text, message) => {
  const { status, body } = await post(`/${id}/get-upload-endpoint`, text);
  expect(status).toBe(422);
  expect(body.error_message).toMatch(message);
});

test('brackets and commas inside of strings do not count', async () => {
  const { status, body } = await api.json('POST', '', { name: `${'[{,'.repeat(40)}\\"[[[` });
  expect({ status, message: body.error_message }).toMatchObject({
    status: 422,
    message: expect.stringContaining('"["'),
  });
});

test('a body that is larger than its route needs is refused with the limit', async () => {
  const { status, body } = await post(`/${id}/captions`, JSON.stringify({ filenames: ['x'.repeat(2_000_000)] }));
  expect({ status, message: body.error_message }).toEqual({
    status: 413,
    message: 'The JSON body has more than 1048576 bytes. Send smaller batches.',
  });
});

test('a batch of tens of thousands of wrong sizes reports the first hundred', async () => {
  const sizes = Object.fromEntries(Array.from({ length: 40_000 }, (_, index) => [`${index}.txt`, 'five' as never]));
  const { status, body } = await api.links(id, sizes);
  expect(status).toBe(422);
  expect(body.error_message).toBe(
    "The size of 0.txt is not a number; it must be the file's exact size in bytes, at least 1. 39999 more files of the batch have errors; see detail.",
  );
  expect(body.detail).toHaveLength(100);
});

test('a large batch is reserved while other requests are answered', { timeout: 60_000 }, async () => {
  const batch = await api.newDataset();
  const sizes = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`${index}.txt`, 5]));
  let isReserved = false;
  const reserving = api.links(batch, sizes).finally(() => {
    isReserved = true;
  });
  let answered = 0;
  while (!isReserved) {
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    answered++;
  }
  expect(Object.keys((await reserving).body.uploads)).toHaveLength(50_000);
  // One transaction would let in a request or two: before it and after it.
  expect(answered).toBeGreaterThan(20);
  expect((await api.status(batch)).body).toMatchObject({ status: 'UPLOADING', counts: { pending: 50_000 } });
});

test('a wait of any fraction of a second is answered', async () => {
  for (const wait of ['1.005', '0.0001', '0']) expect((await api.status(id, `?wait=${wait}`)).status).toBe(200);
});
