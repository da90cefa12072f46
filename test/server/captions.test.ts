import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
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
afterAll(async () => {
  // Once it has stopped, all its output has arrived. Many captions of one request put few listeners on its signal.
  await server.stop();
  expect(server.output()).not.toContain('MaxListenersExceededWarning');
  await discardServer(server);
});
beforeEach(async () => {
  id = await api.newDataset();
});

const ask = (filenames: unknown) => api.json('POST', `/${id}/captions`, { filenames });
const sha256Of = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
const BOM = '\ufeff';

describe('reading captions', () => {
  test('returns text and SHA-256 in the order of the request, in any Unicode form and with duplicates', async () => {
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

  test('and saving them as they were returned loses only its byte order mark', async () => {
    await api.upload(id, 'a.txt', `${BOM}${BOM}a dog\r\n`);
    const [caption] = await client.bulk.captions(id, ['a.txt']);
    expect(caption?.sha256).toBe(sha256Of(`${BOM}${BOM}a dog\r\n`));
    await client.upload(id, 'a.txt', new Blob([caption?.text ?? '']));
    const bytes = Buffer.from(await (await client.file(id, 'a.txt')).arrayBuffer());
    expect(bytes.equals(Buffer.from(`${BOM}a dog\r\n`))).toBe(true);
  });

  test('of 64 KiB returns the text, and of larger ones none', async () => {
    await api.upload(id, 'large.txt', 'x'.repeat(65_536));
    await api.upload(id, 'larger.txt', 'x'.repeat(65_537));
    const captions = await client.bulk.captions(id, ['large.txt', 'larger.txt']);
    expect(captions.map(({ text }) => text?.length ?? null)).toEqual([65_536, null]);
    expect(captions[1]?.sha256).toBe(sha256Of('x'.repeat(65_537)));
  });

  test('is possible for any number with the client', async () => {
    const names = Array.from({ length: 5 }, (_, i) => `${i}.txt`);
    for (const name of names) await api.upload(id, name, `caption ${name}`);
    const wanted = Array.from({ length: 2503 }, (_, i) => names[i % 5]!);
    const captions = await client.bulk.captions(id, wanted);
    expect(captions.map(({ filename }) => filename)).toEqual(wanted);
    expect(captions.every(({ filename, text }) => text === `caption ${filename}`)).toBe(true);
    expect(await client.bulk.captions(id, [])).toEqual([]);
  });

  test('of an unknown name is 404, of a file that is not a caption 422, and so is a list of none', async () => {
    await api.upload(id, 'a.txt', 'a dog');
    await api.upload(id, 'a.jpg', await media.jpeg());
    const missing = await ask(['a.txt', 'b.txt']);
    expect([missing.status, missing.body.error_code]).toEqual([404, 404002]);
    expect(missing.body.error_message).toContain('"b.txt"');
    const stranger = await ask(['a.txt', 'a.jpg']);
    expect([stranger.status, stranger.body.error_code]).toEqual([422, 422002]);
    expect(stranger.body.error_message).toContain('a.jpg is not a caption');
    expect(stranger.body.detail).toEqual([{ path: 'filenames.1', message: expect.any(String) }]);
    expect((await ask([])).status).toBe(422);
    for (const name of ['', '\u0000', '../a.txt', '\ud800.txt']) expect((await ask([name])).status).toBe(404);
  });
});

const etagOf = (text: string) => `"${sha256Of(text)}"`;
const current = (text: string) => ({ etag: etagOf(text), size_bytes: Buffer.byteLength(text) });
const nameOf = (i: number) => `${String(i).padStart(4, '0')}.txt`;
const textsOf = async (names: readonly string[]) => (await client.bulk.captions(id, names)).map(({ text }) => text);

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

  test('leave a READY dataset READY, and every edit changes its digest', async () => {
    await api.upload(id, 'a.png', await media.png());
    await api.upload(id, 'a.txt', 'a dog');
    const { digest } = (await api.status(id)).body;
    const abort = new AbortController();
    const statuses: string[] = [];
    const watching = (async () => {
      for await (const { status } of client.events(id, { signal: abort.signal })) statuses.push(status);
    })().catch(() => {});
    for (let i = 0; i < 4; i++) {
      await client.bulk.saveCaptions(id, [{ filename: 'a.txt', text: `edit ${i}` }]);
      statuses.push((await api.status(id)).body.status);
    }
    abort.abort();
    await watching;
    expect(new Set(statuses)).toEqual(new Set(['READY']));
    expect((await api.status(id)).body.digest).not.toBe(digest);
  });

  test('save a thousand captions, and remove them, in one request each', async () => {
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

  test('with a name twice, another file than a caption, or invalid Unicode save nothing', async () => {
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

  test('withdraw many uploads at once, and stored files stay', async () => {
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
});

/** JSON has six bytes for each of its characters. */
const textOf = (i: number) => `${i}`.padEnd(65_536, '\u0001');
const CAPTIONS_PER_REQUEST = 38;

async function save(captions: readonly { filename: string; text: string }[]): Promise<void> {
  for (let from = 0; from < captions.length; from += CAPTIONS_PER_REQUEST) {
    const slice = captions.slice(from, from + CAPTIONS_PER_REQUEST);
    expect((await api.json('PUT', `/${id}/captions`, { captions: slice })).status).toBe(200);
  }
}

describe('texts of the largest size', () => {
  test('are all in a difference, in lists of no page, of one and of several', async () => {
    const captions = Array.from({ length: 9 }, (_, i) => ({ filename: `${i}.txt`, text: textOf(i) }));
    await save(captions.slice(0, 6));
    await save(
      [...captions.slice(0, 3), ...captions.slice(6)].map((each) => ({ ...each, text: `${each.text.slice(1)}+` })),
    );
    await api.json('DELETE', `/${id}/files`, { filenames: ['3.txt'] });
    const last = (await client.history.revisions(id)).revisions[0]!.number;
    const difference = await client.history.diff(id, { from: 1, to: last });
    const total = { added: 3, removed: 1, changed: 3 };
    expect(difference).toMatchObject({ from: 1, to: last, total, next_after: null });
    expect(
      difference.added.map(({ filename, text }) => [filename, text === `${textOf(Number(filename[0])).slice(1)}+`]),
    ).toEqual(['6.txt', '7.txt', '8.txt'].map((filename) => [filename, true]));
    expect(difference.removed.map(({ text }) => text === textOf(3))).toEqual([true]);
    expect(
      difference.changed.map((file) => [file.filename, file.from_text === textOf(Number(file.filename[0]))]),
    ).toEqual(['0.txt', '1.txt', '2.txt'].map((filename) => [filename, true]));
    const none = await client.history.diff(id, { from: last, to: last });
    expect([none.added, none.removed, none.changed]).toEqual([[], [], []]);
  });

  test('are answered part by part, and other requests in between', async () => {
    const captions = Array.from({ length: 38 }, (_, i) => ({ filename: `${i}.txt`, text: textOf(i) }));
    await save(captions);
    const body = JSON.stringify({ filenames: captions.map(({ filename }) => filename) });
    const headers = { 'content-type': 'application/json' };
    let areRead = false;
    const reading = Promise.all(
      Array.from({ length: 6 }, async (_, i) => {
        const response = await (i % 2 === 0
          ? api.raw('POST', `/${id}/captions`, { body, headers })
          : api.raw('GET', `/${id}/revisions/diff?from=0&to=1`));
        expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(38 * 6 * 65_000);
      }),
    ).finally(() => {
      areRead = true;
    });
    let answers = 0;
    for (; !areRead; answers++) expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    await reading;
    // Each of the six answers has 38 parts.
    expect(answers).toBeGreaterThan(12);
  });
});
