import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

/* Answers with the texts of captions of the largest size, which are made part by part. */

/** JSON has six bytes for each of its characters. */
const textOf = (i: number) => `${i}`.padEnd(65_536, '\u0001');
const CAPTIONS_PER_REQUEST = 38;

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

async function save(captions: readonly { filename: string; text: string }[]): Promise<void> {
  for (let from = 0; from < captions.length; from += CAPTIONS_PER_REQUEST) {
    const slice = captions.slice(from, from + CAPTIONS_PER_REQUEST);
    expect((await api.json('PUT', `/${id}/captions`, { captions: slice })).status).toBe(200);
  }
}

test('a difference has all its texts, in lists of no page, of one and of several', async () => {
  const captions = Array.from({ length: 9 }, (_, i) => ({ filename: `${i}.txt`, text: textOf(i) }));
  await save(captions.slice(0, 6));
  await save(
    [...captions.slice(0, 3), ...captions.slice(6)].map((each) => ({ ...each, text: `${each.text.slice(1)}+` })),
  );
  await api.json('DELETE', `/${id}/files`, { filenames: ['3.txt'] });
  const last = (await client.history.revisions(id)).revisions[0]!.number;
  const difference = await client.history.diff(id, { from: 1, to: last });
  expect(difference).toMatchObject({
    from: 1,
    to: last,
    total: { added: 3, removed: 1, changed: 3 },
    next_after: null,
  });
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

test('other requests are answered between the parts of many such answers', async () => {
  const captions = Array.from({ length: 100 }, (_, i) => ({ filename: `${i}.txt`, text: textOf(i) }));
  await save(captions);
  const body = JSON.stringify({ filenames: captions.map(({ filename }) => filename) });
  const headers = { 'content-type': 'application/json' };
  let areRead = false;
  const reading = Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const response = await (i % 2 === 0
        ? api.raw('POST', `/${id}/captions`, { body, headers })
        : api.raw('GET', `/${id}/revisions/diff?from=0&to=1`));
      expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(100 * 6 * 65_000);
    }),
  ).finally(() => {
    areRead = true;
  });
  let answers = 0;
  for (; !areRead; answers++) expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  await reading;
  // Each of the twenty answers has a hundred parts.
  expect(answers).toBeGreaterThan(40);
});
