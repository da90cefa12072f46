import { beforeEach, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';
import { sha256 } from '../harness/sha256.js';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
let id: string;
beforeEach(async () => {
  id = await api.newDataset();
});

const etagOf = (text: string) => `"${sha256(text)}"`;
const current = (text: string) => ({ etag: etagOf(text), size_bytes: Buffer.byteLength(text) });
const textsOf = async (names: readonly string[]) => (await client.bulk.captions(id, names)).map(({ text }) => text);

describe('reading captions', () => {
  test('returns text and SHA-256 in the order of the request, in any Unicode form and with duplicates', async () => {
    const texts = { 'a.txt': 'a dog', 'caf\u00e9 "1".txt': ' zwei\r\nZeilen\u2028 🚂\n', 'empty.txt': '' };
    for (const [name, text] of Object.entries(texts)) await api.upload(id, name, text);
    const captions = await client.bulk.captions(id, ['cafe\u0301 "1".txt', 'empty.txt', 'a.txt', 'empty.txt']);
    expect(captions).toEqual(
      (['caf\u00e9 "1".txt', 'empty.txt', 'a.txt', 'empty.txt'] as const).map((filename) => ({
        filename,
        sha256: sha256(texts[filename]),
        etag: etagOf(texts[filename]),
        text: texts[filename],
      })),
    );
  });

  test('and saving them as they were returned loses only its byte order mark', async () => {
    await api.upload(id, 'a.txt', '\ufeff\ufeffa dog\r\n');
    const [caption] = await client.bulk.captions(id, ['a.txt']);
    expect(caption?.sha256).toBe(sha256('\ufeff\ufeffa dog\r\n'));
    await client.upload(id, 'a.txt', new Blob([caption?.text ?? '']));
    expect(await api.text(id, 'a.txt')).toBe('\ufeffa dog\r\n');
  });

  test('is possible for any number with the client, and returns no text of more than 64 KiB', async () => {
    const texts = { '0.txt': 'short', 'large.txt': 'x'.repeat(65_536), 'larger.txt': 'x'.repeat(65_537) };
    for (const [name, text] of Object.entries(texts)) await api.upload(id, name, text);
    const wanted = [...Array<string>(1200).fill('0.txt'), 'large.txt', 'larger.txt'];
    const captions = await client.bulk.captions(id, wanted);
    expect(captions.map(({ filename }) => filename)).toEqual(wanted);
    expect(captions.slice(0, 1200).every(({ text }) => text === 'short')).toBe(true);
    expect(captions.slice(1200).map(({ text }) => text?.length ?? null)).toEqual([65_536, null]);
    expect(captions.at(-1)?.sha256).toBe(sha256(texts['larger.txt']));
    expect(await client.bulk.captions(id, [])).toEqual([]);
  });

  test('of an unknown name is 404, of a file that is not a caption 422, and so is a list of none', async () => {
    const ask = (filenames: unknown) => api.json('POST', `/${id}/captions`, { filenames });
    await api.upload(id, 'a.txt', 'a dog');
    await api.upload(id, 'a.jpg', await media.jpeg());
    const message = expect.stringContaining('"b.txt"');
    expect((await ask(['a.txt', 'b.txt'])).body).toMatchObject({ error_code: 404002, error_message: message });
    expect((await ask(['a.txt', 'a.jpg'])).body).toMatchObject({
      error_code: 422002,
      error_message: expect.stringContaining('a.jpg is not a caption'),
      detail: [{ path: 'filenames.1' }],
    });
    expect((await ask([])).status).toBe(422);
    for (const name of ['', '\u0000', '../a.txt', '\ud800.txt']) expect((await ask([name])).status).toBe(404);
  });
});

describe('bulk changes', () => {
  test('save captions, each if its ETag is the expected one, and the others say what is there', async () => {
    await api.upload(id, 'a.txt', 'a dog');
    await api.upload(id, 'b.txt', 'a cat');
    const saved = await client.bulk.saveCaptions(id, [
      { filename: 'a.txt', text: 'a dog, running', ifMatch: etagOf('a dog') },
      { filename: 'b.txt', text: 'mine', ifMatch: etagOf('another text') },
      { filename: 'c.txt', text: 'new', ifMatch: null },
      { filename: 'd.txt', text: 'no file to replace', ifMatch: etagOf('x') },
      { filename: 'cafe\u0301.txt', text: '' },
      { filename: 'zero.txt', text: 'a\0b' },
      { filename: 'e.json', text: '{"a": 1}' },
      { filename: 'f.json', text: '{' },
    ]);
    expect(saved).toMatchObject([
      { filename: 'a.txt', saved: true, file: { etag: etagOf('a dog, running'), characters: 14 } },
      { filename: 'b.txt', saved: false, current: current('a cat') },
      { filename: 'c.txt', saved: true, file: { etag: etagOf('new') } },
      { filename: 'd.txt', saved: false, current: null },
      { filename: 'caf\u00e9.txt', saved: true, file: { warnings: [{ code: 'BLANK_CAPTION' }] } },
      { filename: 'zero.txt', saved: false, problem: { code: 'CAPTION_HAS_NUL' } },
      { filename: 'e.json', saved: true, file: { format: 'json' } },
      {
        filename: 'f.json',
        saved: false,
        problem: { code: 'CAPTION_NOT_JSON', message: expect.stringContaining('line 1') },
      },
    ]);
    expect(await textsOf(['a.txt', 'b.txt', 'c.txt', 'caf\u00e9.txt'])).toEqual(['a dog, running', 'a cat', 'new', '']);
    expect((await api.status(id)).body.counts).toMatchObject({ captions: 5, pending: 0, rejected: 0 });
  });

  test('leave a READY dataset READY, and change its digest', async () => {
    await api.upload(id, 'a.png', await media.png());
    await api.upload(id, 'a.txt', 'a dog');
    const { digest } = (await api.status(id)).body;
    const events = client.events(id);
    for (const text of ['edit 1', 'edit 2']) {
      await client.bulk.saveCaptions(id, [{ filename: 'a.txt', text }]);
      expect((await events.next()).value).toMatchObject({ status: 'READY' });
    }
    await events.return(undefined);
    expect((await api.status(id)).body).toMatchObject({ status: 'READY', digest: expect.not.stringMatching(digest!) });
  });

  test('save a thousand captions, and remove them, in one request each', async () => {
    const names = Array.from({ length: 1000 }, (_, i) => `${String(i).padStart(4, '0')}.txt`);
    const captions = names.map((filename) => ({ filename, text: `text of ${filename}`, ifMatch: null }));
    const saved = await client.bulk.saveCaptions(id, captions);
    expect(saved.filter((each) => !each.saved)).toEqual([]);
    expect(await textsOf(names)).toEqual(names.map((name) => `text of ${name}`));
    const [kept = ''] = names;
    const ifMatch = { [kept]: etagOf('other') };
    const removed = await client.bulk.removeFiles(id, [...names, 'missing.txt'], { ifMatch });
    expect(removed.filter(({ deleted }) => !deleted)).toEqual([
      { filename: kept, deleted: false, current: current(`text of ${kept}`) },
      { filename: 'missing.txt', deleted: false },
    ]);
    expect(await api.filenames(id)).toEqual([kept]);
  });

  test('with a name twice, another file than a caption, or invalid Unicode save nothing', async () => {
    const valid = { filename: 'valid.txt', text: 'v' };
    for (const caption of [
      valid,
      { filename: 'a.png', text: '1' },
      { filename: '../a.txt', text: '1' },
      { filename: 'a.txt', text: '\ud800' },
      { filename: 'a.txt', text: 'x'.repeat(65_537) },
      { filename: 'a.txt', text: '1', ifMatch: 'no tag' },
    ]) {
      const { status } = await api.json('PUT', `/${id}/captions`, { captions: [valid, caption] });
      expect(status, JSON.stringify(caption).slice(0, 50)).toBeOneOf([415, 422]);
    }
    expect((await api.json('PUT', `/${id}/captions`, { captions: [] })).status).toBe(422);
    expect(await api.filenames(id)).toEqual([]);
  });
});

test('texts of the largest size are all in a comparison', async () => {
  // JSON has six bytes for each of the characters. One request has room for 38 such texts.
  const captions = Array.from({ length: 38 }, (_, i) => ({
    filename: `${i}.txt`,
    text: `${i}`.padEnd(65_536, '\u0001'),
  }));
  expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
  const { added, total } = await client.history.diff(id, { from: 0, to: 1 });
  expect(total).toEqual({ added: 38, removed: 0, changed: 0 });
  const textIn = new Map(captions.map(({ filename, text }) => [filename, text]));
  expect(added.filter(({ filename, text }) => text !== textIn.get(filename))).toEqual([]);
});
