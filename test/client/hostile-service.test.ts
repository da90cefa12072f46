import { expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { sendJson, startScriptedService } from '../harness/scripted-service.js';

const DATASET = { id: 'd1', name: 'railway', files: {} };

test.each(['ty_secret\nsecond', ' ty_secret', 'ty_secret\u6f22', ''])(
  'a client is not made with a token that no header can carry, which is not quoted: %j',
  (token) => {
    const made = () => new TrainyardClient({ baseUrl: 'http://127.0.0.1:1', token });
    expect(made).toThrow(
      new TypeError('The token is empty, or has a space, a line end or a character that is not ASCII.'),
    );
  },
);

test('more results than names were sent are an invalid answer', async () => {
  const [sha256, names] = ['a'.repeat(64), ['a.txt', 'b.txt']];
  const results = {
    captions: names.map((filename) => ({ filename, sha256, etag: `"${sha256}"`, text: '', saved: true })),
    files: names.map((filename) => ({ filename, deleted: true })),
    uploads: names.map((filename) => ({ filename, withdrawn: true })),
  };
  const service = await startScriptedService(DATASET, (_request, response) => sendJson(response, 200, results));
  const { bulk } = new TrainyardClient({ baseUrl: service.url, token: 'ty_secret', attempts: 1 });
  for (const call of [
    () => bulk.captions('d1', ['a.txt']),
    () => bulk.saveCaptions('d1', [{ filename: 'a.txt', text: '' }]),
    () => bulk.removeFiles('d1', ['a.txt']),
    () => bulk.withdraw('d1', ['a.txt']),
  ]) {
    await expect(call()).rejects.toThrow(
      'The server sent an invalid answer: it has more results than names were sent.',
    );
  }
});
