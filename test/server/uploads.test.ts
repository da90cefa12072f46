import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

/** A form of exactly these bytes, with the given `Content-Disposition`. */
async function rawForm(id: string, disposition: string, content = 'a caption', boundary = 'B'): Promise<Response> {
  const body = `--${boundary}\r\nContent-Disposition: ${disposition}\r\n\r\n${content}\r\n--${boundary}--\r\n`;
  return api.raw('POST', `/${id}/upload`, {
    body: Buffer.from(body),
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  });
}

const FILE = 'form-data; name="file"; filename="a.txt"';

function form(disposition: string): string {
  return `--B\r\nContent-Disposition: ${disposition}\r\nContent-Type: text/plain\r\n\r\na caption\r\n--B--\r\n`;
}

describe('a direct upload', () => {
  test('of an image and its caption makes a dataset READY on the next poll', async () => {
    const id = await api.newDataset();
    const bytes = await media.jpeg({ width: 64, height: 48 });
    const image = await api.upload(id, 'dog.jpg', bytes);
    expect(image.status).toBe(200);
    expect(image.body).toMatchObject({
      dataset_id: id,
      filename: 'dog.jpg',
      size_bytes: bytes.length,
      content_type: 'image/jpeg',
      sha256: sha256(bytes),
      kind: 'image',
      width: 64,
      height: 48,
    });
    await api.upload(id, 'dog.txt', 'a dog');
    const { body } = await api.status(id);
    expect(body.status).toBe('READY');
    expect(body.files.map((file) => file.filename)).toEqual(['dog.jpg', 'dog.txt']);
    expect(body.counts).toMatchObject({ images: 1, captions: 1, uncaptioned: 0 });
    expect(body).not.toHaveProperty('error');
  });

  test('that is rejected leaves the stored file of its name and the status unchanged', async () => {
    const id = await api.newDataset();
    const good = await media.jpeg();
    await api.upload(id, 'a.jpg', good);
    await api.upload(id, 'a.txt', 'a caption');
    const rejected = await api.upload(id, 'a.jpg', good.subarray(0, good.length / 2));
    expect([rejected.status, rejected.body.error_code]).toEqual([422, 422004]);
    expect(rejected.body.error_message).toContain('a.jpg');
    const { body } = await api.status(id);
    expect(body.status).toBe('READY');
    expect(body.files[0]?.sha256).toBe(sha256(good));
  });

  test('of an invalid file makes the dataset FAILED with the reason, and a valid one repairs it', async () => {
    const id = await api.newDataset();
    const good = await media.png();
    await api.upload(id, 'a.txt', 'a caption');
    expect((await api.upload(id, 'a.png', media.damaged.html())).status).toBe(422);
    const failed = await api.status(id);
    expect(failed.body.status).toBe('FAILED');
    expect(failed.body.files.map((file) => file.filename)).toEqual(['a.txt']);
    expect(failed.body.error?.problems).toContainEqual({
      code: 'NOT_AN_IMAGE',
      filename: 'a.png',
      message: expect.stringContaining('a.png'),
    });
    expect(failed.body.error?.message).toBeTruthy();
    await api.upload(id, 'a.png', good);
    expect((await api.status(id)).body.status).toBe('READY');
  });

  test.each([
    ['quotes as %22', 'form-data; name="file"; filename="a %22b%22.txt"', 'a "b".txt'],
    ['quotes escaped', 'form-data; name="file"; filename="a \\"b\\".txt"', 'a "b".txt'],
    ['UTF-8', 'form-data; name="file"; filename="猫 é.txt"', '猫 é.txt'],
    ['NFD, stored as NFC', 'form-data; name="file"; filename="e\u0301.txt"', '\u00e9.txt'],
    ['unquoted', 'form-data; name=file; filename=plain.txt', 'plain.txt'],
    ['filename before name', 'form-data; filename="x.txt"; name="file"', 'x.txt'],
  ])('accepts a filename with %s', async (_, disposition, filename) => {
    const id = await api.newDataset();
    const response = await rawForm(id, disposition);
    expect(await response.json()).toMatchObject({ filename });
    expect(await api.filenames(id)).toEqual([filename]);
  });

  test.each([
    ['another type', 'application/json', '{}', 415],
    ['two files', 'multipart/form-data; boundary=B', form(FILE).replace('--B--', form(FILE)), 422],
    ['an unknown extension', 'multipart/form-data; boundary=B', form(FILE.replace('a.txt', 'a.exe')), 415],
    ['a path', 'multipart/form-data; boundary=B', form(FILE.replace('a.txt', '../a.txt')), 422],
  ])('with %s is rejected and stores nothing', async (_, type, body, status) => {
    const id = await api.newDataset();
    const answer = await api.request('POST', `/${id}/upload`, { body, headers: { 'content-type': type } });
    expect([answer.status, answer.body.error_code]).toEqual([status, expect.any(Number)]);
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
