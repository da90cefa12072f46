import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';

const CAPTION =
  '{\n  "high_level_description": "a red wagon",\n  "compositional_deconstruction": {"elements": []}\n}\n';

const server = await sharedServer();
const api = await server.api();
let client: TrainyardClient;
let id: string;
beforeAll(async () => {
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
beforeEach(async () => {
  id = await api.newDataset();
});

const uploaded = async (name: string, bytes: Buffer | string) => (await api.upload(id, name, bytes)).body;
const problemsOf = async () => {
  const { body } = await api.status(id);
  return [body.status, ...(body.error?.problems ?? []).map(({ code, message }) => `${code} ${message}`)];
};

describe('a structured caption', () => {
  test('is stored as it is, beside the .txt, and is in the manifest and the archive', async () => {
    await api.upload(id, 'a.jpg', await media.jpeg());
    await api.upload(id, 'a.txt', 'a red wagon');
    expect(await uploaded('a.json', CAPTION)).toMatchObject({
      ...{ filename: 'a.json', kind: 'caption', format: 'json', content_type: 'application/json' },
      characters: CAPTION.length,
    });
    const { status, counts, warnings } = await client.status(id);
    expect([status, warnings]).toEqual(['READY', []]);
    expect(counts).toMatchObject({ images: 1, captions: 2, uncaptioned: 0 });
    expect(await (await client.file(id, 'a.json')).text()).toBe(CAPTION);
    expect((await client.manifest(id)).files.map(({ filename }) => filename)).toEqual(['a.jpg', 'a.json', 'a.txt']);
  });

  test('alone is no caption for a trainer that reads .txt, and the error says what to do', async () => {
    await api.upload(id, 'a.jpg', await media.jpeg());
    await api.upload(id, 'a.json', CAPTION);
    const missing = expect.stringMatching(
      /^MISSING_CAPTION a\.jpg has the structured caption a\.json alone, .*Upload a\.txt too/,
    );
    expect(await problemsOf()).toEqual(['FAILED', missing]);
    await api.upload(id, 'a.txt', '');
    expect(await problemsOf()).toEqual(['READY']);
  });

  test('that is not JSON is rejected with its line and column, and harms no caption that is there', async () => {
    await api.upload(id, 'a.jpg', await media.jpeg());
    await api.upload(id, 'a.txt', 'a');
    const { status, body } = await api.upload(id, 'a.json', '{\n  "a": "b",\n}\n');
    expect(status).toBe(422);
    const place = 'a.json is not valid JSON: line 3, column 1: here stands } in place of a name in double quotes.';
    expect(body).toMatchObject({ error_code: 422004, error_message: expect.stringContaining(place) });
    expect(await problemsOf()).toEqual(['FAILED', expect.stringContaining(`CAPTION_NOT_JSON ${place}`)]);
    await api.upload(id, 'a.json', CAPTION);
    await api.upload(id, 'a.json', '');
    expect(await problemsOf()).toEqual(['READY']);
    expect(await (await client.file(id, 'a.json')).text()).toBe(CAPTION);
  });

  test.each([
    ['in Windows-1252', Buffer.from('{"a": "caf\xe9"}', 'latin1'), 'CAPTION_NOT_UTF8'],
    ['with zero bytes', '{"a": "\0"}', 'CAPTION_HAS_NUL'],
    ['of more than a megabyte', `"${'x'.repeat(1_000_000)}"`, 'CAPTION_NOT_JSON'],
    ['nested deeper than any stack', '['.repeat(400_000), 'CAPTION_NOT_JSON'],
  ])('%s is rejected', async (_, bytes, code) => {
    await api.upload(id, 'a.json', bytes);
    expect(await problemsOf()).toContainEqual(expect.stringMatching(new RegExp(`^${code} a\\.json`)));
  });

  test('is read and saved as text, and a text that is not JSON is not saved', async () => {
    await api.upload(id, 'a.json', CAPTION);
    const [read] = await client.bulk.captions(id, ['a.json']);
    expect(read?.text).toBe(CAPTION);
    const save = (text: string) => client.bulk.saveCaptions(id, [{ filename: 'a.json', text, ifMatch: read!.etag }]);
    const [rejected] = await save('{');
    expect(rejected?.problem?.message).toContain(
      'line 1, column 2: the text ends, and the { in line 1 is never closed',
    );
    const [saved] = await save('{"a": 1}');
    expect(saved?.file).toMatchObject({ format: 'json' });
  });

  test('without media is an orphan, and files of a whole dataset are no captions', async () => {
    await api.upload(id, 'wagon.jpg', await media.jpeg());
    await api.upload(id, 'wagon.txt', 'a');
    await api.upload(id, 'wagon_1.json', CAPTION);
    const { warnings } = await client.status(id);
    expect(warnings).toEqual([expect.objectContaining({ code: 'ORPHAN_CAPTION', filename: 'wagon_1.json' })]);
    for (const name of ['metadata.json', 'captions.json', 'dataset_infos.json', 'Metadata.JSON']) {
      const { status, body } = await api.upload(id, name, '{}');
      expect([status, body]).toEqual([
        415,
        expect.objectContaining({ error_message: expect.stringContaining('describes a whole dataset') }),
      ]);
    }
    expect((await api.links(id, { 'captions.json': 2 })).status).toBe(415);
  });
});
