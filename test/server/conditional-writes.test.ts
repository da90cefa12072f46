import { beforeEach, describe, expect, test } from 'vitest';
import { type Answer, put } from '../harness/api.js';
import { sharedServer } from '../harness/shared-server.js';
import { sha256 } from '../harness/sha256.js';

const server = await sharedServer();
const api = await server.api();
let id: string;
beforeEach(async () => {
  id = await api.newDataset();
});

const etagOf = (text: string) => `"${sha256(text)}"`;

function upload(text: string, headers: Record<string, string> = {}): Promise<Answer<{ etag: string }>> {
  const form = new FormData();
  form.append('file', new Blob([text]), 'a.txt');
  return api.request('POST', `/${id}/upload`, { body: form, headers });
}

const remove = (headers: Record<string, string>) => api.request('DELETE', `/${id}/files/a.txt`, { headers });
const textNow = async () => (await api.raw('GET', `/${id}/files/a.txt`)).text();

/** The answer to a write whose condition is not met, with the file that stays. */
function conflict(text: string | null) {
  const current = text === null ? null : { etag: etagOf(text), size_bytes: text.length };
  return { status: 412, body: { error_code: 412001, error_message: expect.stringContaining('a.txt'), current } };
}

describe('a direct upload', () => {
  test('with If-Match replaces only the file that has one of these ETags', async () => {
    expect(await upload('new', { 'if-match': etagOf('old') })).toMatchObject(conflict(null));
    expect(await upload('new', { 'if-match': '*' })).toMatchObject(conflict(null));
    await upload('old');
    const refused = await upload('new', { 'if-match': etagOf('older') });
    expect(refused).toMatchObject(conflict('old'));
    expect(refused.headers.get('etag')).toBe(etagOf('old'));
    expect(await upload('new', { 'if-match': `W/${etagOf('old')}` })).toMatchObject(conflict('old'));
    expect(await textNow()).toBe('old');
    expect((await upload('new', { 'if-match': `"x", ${etagOf('old')}` })).status).toBe(200);
    expect((await upload('newer', { 'if-match': '*' })).status).toBe(200);
    expect(await textNow()).toBe('newer');
    expect((await api.status(id)).body.counts).toMatchObject({ captions: 1, pending: 0, rejected: 0 });
  });

  test('is the only one that succeeds of several with the ETag of one version', async () => {
    await upload('old');
    const texts = Array.from({ length: 8 }, (_, i) => `new ${i}`);
    const answers = await Promise.all(texts.map((text) => upload(text, { 'if-match': etagOf('old') })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
    expect(await textNow()).toBe(texts[answers.findIndex(({ status }) => status === 200)]);
  });

  test('with If-None-Match: * adds a file and never replaces one', async () => {
    expect((await upload('first', { 'if-none-match': '*' })).status).toBe(200);
    expect(await upload('second', { 'if-none-match': '*' })).toMatchObject(conflict('first'));
    expect(await textNow()).toBe('first');
    for (const value of ['abc', '"a" "b"', '"a', '', '"a",x']) {
      const answer = await upload('text', { 'if-match': value });
      expect(answer).toMatchObject({ status: 422, body: { detail: [{ path: 'If-Match' }] } });
    }
  });
});

test('a file is deleted only if it has the ETag of the request; otherwise the dataset is as before', async () => {
  await upload('kept');
  const before = (await api.status(id)).body;
  expect(await remove({ 'if-match': etagOf('other') })).toMatchObject(conflict('kept'));
  expect(await textNow()).toBe('kept');
  expect((await api.request('DELETE', `/${id}/files/missing.txt`)).status).toBe(404);
  expect((await api.status(id)).body).toEqual(before);
  expect((await remove({ 'if-match': etagOf('kept') })).status).toBe(200);
  expect(await remove({ 'if-match': '*' })).toMatchObject(conflict(null));
});

describe('links with a condition', () => {
  const reserve = (ifMatch: Record<string, unknown>) => api.links(id, { 'a.txt': 3 }, ifMatch);

  test('replace the file if it still has the ETag when the upload is complete, and end with nothing pending otherwise', async () => {
    await upload('old');
    const linkOf = async (text: string) => (await reserve({ 'a.txt': etagOf(text) })).body.uploads['a.txt']!.upload_url;
    const url = await linkOf('old');
    if (!url.includes('/uploads/')) return;
    expect((await put(url, 'new')).status).toBe(200);
    expect(await textNow()).toBe('new');
    const late = await linkOf('new');
    await upload('edited');
    // The other upload has withdrawn the link, unless its bytes were arriving already.
    expect((await put(late, 'own')).status).toBeOneOf([403, 412]);
    expect(await textNow()).toBe('edited');
    expect((await api.status(id)).body.counts).toMatchObject({ pending: 0, rejected: 0 });
  });

  test('are not made for a file that has another ETag, and need up to ten ETags or null', async () => {
    await upload('old');
    const refused = await reserve({ 'a.txt': null });
    expect(refused).toMatchObject(conflict('old'));
    expect(refused.body.detail).toEqual([{ path: 'ifMatch.a.txt', message: `has the ETag ${etagOf('old')}` }]);
    expect(await reserve({ 'a.txt': etagOf('older') })).toMatchObject({ status: 412 });
    expect((await api.status(id)).body.counts.pending).toBe(0);
    expect((await reserve({ 'a.txt': '"x", '.repeat(9) + etagOf('old') })).status).toBe(200);
    for (const [ifMatch, path] of [
      [{ 'b.txt': null }, 'ifMatch.b.txt'],
      [{ 'a.txt': 1 }, 'ifMatch.a.txt'],
      [{ 'a.txt': 'no tag' }, 'ifMatch.a.txt'],
      [{ 'a.txt': '"x", '.repeat(10) + etagOf('old') }, 'ifMatch.a.txt'],
    ] as const) {
      expect(await reserve(ifMatch)).toMatchObject({ status: 422, body: { detail: [{ path }] } });
    }
  });
});
