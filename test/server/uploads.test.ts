import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();

const FILE = 'form-data; name="file"; filename="a.txt"';

function form(disposition: string): string {
  return `--B\r\nContent-Disposition: ${disposition}\r\nContent-Type: text/plain\r\n\r\na caption\r\n--B--\r\n`;
}

/* What `test/acceptance` does not have. */

describe('a direct upload', () => {
  test.each([
    ['unquoted', 'form-data; name=file; filename=plain.txt', 'plain.txt'],
    ['filename before name', 'form-data; filename="x.txt"; name="file"', 'x.txt'],
  ])('accepts a filename with %s', async (_, disposition, filename) => {
    const id = await api.newDataset();
    const headers = { 'content-type': 'multipart/form-data; boundary=B' };
    const answer = await api.request('POST', `/${id}/upload`, { body: form(disposition), headers });
    expect(answer.body).toMatchObject({ filename });
    expect(await api.filenames(id)).toEqual([filename]);
  });

  test('with two files is rejected and stores nothing', async () => {
    const id = await api.newDataset();
    const headers = { 'content-type': 'multipart/form-data; boundary=B' };
    const body = form(FILE).replace('--B--', form(FILE));
    expect((await api.raw('POST', `/${id}/upload`, { body, headers })).status).toBe(422);
    expect((await api.status(id)).body).toMatchObject({ status: 'DRAFT', files: [] });
  });

  test('may be sent in chunks of unknown length', async () => {
    const id = await api.newDataset();
    const status = await new Promise((resolve, reject) => {
      const sent = request(
        `${server.url}/prod/v1/trainers/datasets/${id}/upload`,
        {
          method: 'POST',
          headers: {
            authorization: `Bearer ${api.token}`,
            'content-type': 'multipart/form-data; boundary=B',
            'transfer-encoding': 'chunked',
          },
        },
        (response) => resolve(response.statusCode),
      );
      sent.on('error', reject);
      for (const byte of form(FILE)) sent.write(byte);
      sent.end();
    });
    expect(status).toBe(200);
    expect(await api.filenames(id)).toEqual(['a.txt']);
  });
});

test.each([
  ['a PNG named .jpg', 'a.jpg', () => media.png(), 'CONTENT_DIFFERS'],
  ['a GIF', 'a.gif', () => media.gif(), 'NOT_TRAINED_ON'],
])('%s is stored with a warning', async (_, filename, bytes, warning) => {
  const id = await api.newDataset();
  expect((await api.upload(id, filename, await bytes())).status).toBe(200);
  expect((await api.status(id)).body.warnings.map(({ code }) => code)).toContain(warning);
});
