import { expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { headOf, RawClient } from '../faults/raw-client.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const id = await api.newDataset();
await api.upload(id, 'kept.txt', 'a dog');

/** Marks of one letter, of which every second is out of order: to order them takes time that grows with the square of their number. */
const MARKS = `a${'\u0301\u0323'.repeat(150_000)}`;

const removal = (ifMatch: Record<string, string | null>) => ({ filenames: ['a.txt'], ifMatch });

test('a condition of millions of ETags is refused', async () => {
  const tags = `${'"",'.repeat(2_000_000)}""`;
  const captions = [{ filename: 'a.txt', text: 'x', ifMatch: tags }];
  const filenameToByteSize = { 'a.txt': 5 };
  for (const { status, body } of [
    await api.json('PUT', `/${id}/captions`, { captions }),
    await api.json('POST', `/${id}/get-upload-endpoint`, { filenameToByteSize, ifMatch: { 'a.txt': tags } }),
    await api.json('DELETE', `/${id}/files`, removal({ 'a.txt': tags.slice(0, 400_000) })),
  ]) {
    expect([status, body.error_message]).toEqual([422, expect.stringContaining('must be * or an ETag')]);
  }
});

test('a name of 300,000 combining marks is refused before it is normalized', { timeout: 30_000 }, async () => {
  for (const { status, body } of [
    await api.create(MARKS),
    await api.links(id, { [`${MARKS}.txt`]: 5 }),
    await api.json('POST', `/${id}/captions`, { filenames: [`${MARKS}.txt`] }),
    await api.json('POST', `/${id}/archive`, { filenames: [`${MARKS}.txt`] }),
    await api.json('DELETE', `/${id}/files`, removal({ [`${MARKS}.txt`]: null })),
  ]) {
    expect(status).toBe(422);
    expect(body.error_message?.length).toBeLessThan(1000);
  }
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

const AS_JSON = { headers: { 'content-type': 'application/json' } };

/** Controls of a terminal, of lines and of the direction of text. */
const UNPRINTABLE = 'x\u001b[2J\n\u009b\u202e\u2028\u061c';

/** Its message is cut within the pair of surrogates. */
const CUT = `${'x'.repeat(565)}\u{1f600}`;

test('errors about unprintable names can be printed', async () => {
  const conditional = (name: string) =>
    api.json('POST', `/${id}/get-upload-endpoint`, { filenameToByteSize: {}, ifMatch: { [name]: null } });
  for (const { status, body } of [
    await api.request('DELETE', `/${id}/files/${encodeURIComponent(UNPRINTABLE)}`),
    await api.status(encodeURIComponent(UNPRINTABLE)),
    await api.create(UNPRINTABLE),
    await api.links(id, { [UNPRINTABLE]: 1 }),
    await conditional(UNPRINTABLE),
    await conditional(CUT),
    await api.request('POST', '', { ...AS_JSON, body: `{"a":${UNPRINTABLE}` }),
  ]) {
    expect(status).toBeOneOf([404, 422]);
    const { error_message: message, detail = [] } = body;
    for (const text of [message!, ...detail.flatMap((problem) => [problem.path, problem.message])]) {
      expect(text).not.toMatch(/[\p{Cc}\p{Surrogate}\p{Bidi_Control}\u2028\u2029]/u);
      expect(text.length).toBeLessThanOrEqual(601);
    }
  }
});

test('a form of hundreds of thousands of empty files is refused', async () => {
  const part = '--B\r\nContent-Disposition: form-data; name="x"; filename="a.txt"\r\n\r\n\r\n';
  const { status, body } = await api.request('POST', `/${id}/upload`, {
    body: part.repeat(200_000),
    headers: { 'content-type': 'multipart/form-data; boundary=B' },
  });
  const message = 'The form has more than 16 parts. Send one part named file per request.';
  expect([status, body.error_message]).toEqual([422, message]);
});

test('a body of millions of brackets, values or bytes is refused before it is parsed; those inside of strings do not count', async () => {
  const reserve = (text: string) => api.request('POST', `/${id}/get-upload-endpoint`, { ...AS_JSON, body: text });
  const wrongSizes = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`${index}.txt`, 'five']));
  for (const [{ status, body }, message] of [
    [await reserve('['.repeat(14_000_000)), /^422 .*32 levels/],
    [await reserve(`[${'0,'.repeat(7_000_000)}0]`), /^422 .*41000 values/],
    [
      await api.json('POST', `/${id}/captions`, { filenames: ['x'.repeat(2_000_000)] }),
      /^413 The JSON body has more than 1048576 bytes\. Send smaller batches\.$/,
    ],
    [
      await reserve(JSON.stringify({ filenameToByteSize: wrongSizes })),
      /^422 .* 999 more files of the batch have errors/,
    ],
    [await api.json('POST', '', { name: `${'[{,'.repeat(40)}\\"[[[` }), /^422 .*"\["/],
  ] as const) {
    expect(`${status} ${body.error_message}`).toMatch(message);
  }
});

test('a misspelt field and a condition of another file are 422, and nothing is done; Unicode forms are one name', async () => {
  const etag = `"${'0'.repeat(64)}"`;
  const captions = [{ filename: 'kept.txt', text: 'mine', if_match: null }];
  const misspelt = await api.json('PUT', `/${id}/captions`, { captions });
  const unknown = { path: 'captions.0', message: 'Unknown field: "if_match"' };
  expect(misspelt).toMatchObject({ status: 422, body: { detail: [unknown] } });
  expect(misspelt.body.error_message).toContain(unknown.message);
  const body = { filenames: ['kept.txt'], ifMatch: { 'Kept.txt': etag } };
  const problem = { path: 'ifMatch.Kept.txt', message: 'names a file that is not in filenames' };
  expect(await api.json('DELETE', `/${id}/files`, body)).toMatchObject({ status: 422, body: { detail: [problem] } });
  expect(await api.text(id, 'kept.txt')).toBe('a dog');
  await api.upload(id, 'caf\u00e9.txt', 'a cup');
  const decomposed = { filenames: ['caf\u00e9.txt'], ifMatch: { 'cafe\u0301.txt': etag } };
  const { body: kept } = await api.json('DELETE', `/${id}/files`, decomposed);
  expect(kept).toMatchObject({ files: [{ deleted: false }] });
});

test('bodies of the hosted API may have more fields', async () => {
  expect((await api.json('POST', '', { name: 'cats', visibility: 'private' })).status).toBe(200);
  const links = { filenameToByteSize: { 'b.txt': 5 }, expires: 60 };
  expect((await api.json('POST', `/${id}/get-upload-endpoint`, links)).status).toBe(200);
});
