import { beforeEach, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';

const CAPTION =
  '{\n  "high_level_description": "a red wagon",\n  "compositional_deconstruction": {"elements": []}\n}\n';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
let id: string;
beforeEach(async () => {
  id = await api.newDataset();
  await api.upload(id, 'a.jpg', await media.jpeg());
});

test('a structured caption is stored as it is beside the .txt, without which the trainer would have none', async () => {
  const { body } = await api.upload(id, 'a.json', CAPTION);
  const facts = { kind: 'caption', format: 'json', characters: CAPTION.length };
  expect(body).toMatchObject({ filename: 'a.json', content_type: 'application/json', ...facts });
  const alone = await client.status(id);
  const message = expect.stringMatching(/^a\.jpg has the structured caption a\.json alone, .*Upload a\.txt too/);
  expect(alone.error?.problems).toMatchObject([{ code: 'MISSING_CAPTION', message }]);
  await api.upload(id, 'a.txt', 'a red wagon');
  const { status, counts, warnings } = await client.status(id);
  expect([status, warnings]).toEqual(['READY', []]);
  expect(counts).toMatchObject({ images: 1, captions: 2, uncaptioned: 0 });
  expect(await api.text(id, 'a.json')).toBe(CAPTION);
  expect((await client.manifest(id)).files.map(({ filename }) => filename)).toEqual(['a.jpg', 'a.json', 'a.txt']);
  const other = await api.upload(id, 'captions.json', '{}');
  const reason = expect.stringContaining('describes a whole dataset');
  expect([other.status, other.body.error_message]).toEqual([415, reason]);
});

test('one that is not JSON is rejected with its line and column, and harms no caption that is there', async () => {
  await api.upload(id, 'a.json', CAPTION);
  const { status, body } = await api.upload(id, 'a.json', '{\n  "a": "b",\n}\n');
  const place = 'a.json is not valid JSON: line 3, column 1: here stands } in place of a name in double quotes.';
  expect([status, body]).toMatchObject([422, { error_code: 422004, error_message: expect.stringContaining(place) }]);
  expect(await api.text(id, 'a.json')).toBe(CAPTION);
  for (const [bytes, code] of [
    [Buffer.from('{"a": "caf\xe9"}', 'latin1'), 'CAPTION_NOT_UTF8'],
    ['{"a": "\0"}', 'CAPTION_HAS_NUL'],
    [`"${'x'.repeat(1_000_000)}"`, 'CAPTION_NOT_JSON'],
    ['['.repeat(400_000), 'CAPTION_NOT_JSON'],
  ] as const) {
    await api.upload(id, 'b.json', bytes);
    const problems = (await client.status(id)).error?.problems.filter(({ filename }) => filename === 'b.json');
    expect(problems?.map((problem) => problem.code)).toEqual([code]);
  }
});

test('one is read and saved as text, and a text that is not JSON is not saved', async () => {
  await api.upload(id, 'a.json', CAPTION);
  const [read] = await client.bulk.captions(id, ['a.json']);
  expect(read?.text).toBe(CAPTION);
  const save = (text: string) => client.bulk.saveCaptions(id, [{ filename: 'a.json', text, ifMatch: read!.etag }]);
  const [rejected] = await save('{');
  expect(rejected?.problem?.message).toContain('line 1, column 2: the text ends, and the { in line 1 is never closed');
  const [saved] = await save('{"a": 1}');
  expect(saved?.file).toMatchObject({ format: 'json' });
});
