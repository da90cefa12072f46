import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let id: string;
let form: Buffer;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
  id = await api.newDataset();
  form = Buffer.concat([
    Buffer.from(
      '--B\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n',
    ),
    await media.jpeg({ width: 40, height: 40 }),
    Buffer.from('\r\n--B--\r\n'),
  ]);
});
afterAll(() => discardServer(server));

/** Sends raw bytes and returns the response. With `hangUp`, disconnects right after sending. */
function sendRaw(bytes: Buffer, hangUp: boolean): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
    socket.write(bytes, () => (hangUp ? socket.destroy() : socket.end()));
  });
}

/** A random mutation of a buffer: bytes removed, duplicated or overwritten. */
const mutation = fc.record({
  kind: fc.constantFrom('cut', 'double', 'overwrite'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat(30),
  byte: fc.nat(255),
});

function mutated(
  bytes: Buffer,
  mutations: readonly { kind: string; at: number; length: number; byte: number }[],
): Buffer {
  let result = bytes;
  for (const { kind, at, length, byte } of mutations) {
    const from = Math.floor(at * result.length);
    const [before, middle, after] = [
      result.subarray(0, from),
      result.subarray(from, from + length),
      result.subarray(from + length),
    ];
    if (kind === 'cut') result = Buffer.concat([before, after]);
    else if (kind === 'double') result = Buffer.concat([before, middle, middle, after]);
    else result = Buffer.concat([before, Buffer.alloc(middle.length, byte), after]);
  }
  return result;
}

test('damaged requests never crash the server, never answer 500, and store nothing damaged', async () => {
  const request = fc.record({
    target: fc.constantFrom('upload', 'get-upload-endpoint', 'create', 'PUT'),
    mutations: fc.array(mutation, { maxLength: 4 }),
    headMutations: fc.array(mutation, { maxLength: 1 }),
    hangUp: fc.boolean(),
    lengthError: fc.constantFrom(0, 0, 0, -5, 5),
  });
  const url = new URL(await api.link(id, 'link.jpg', form.length));
  const heads: Record<string, { line: string; type: string; body: Buffer }> = {
    upload: {
      line: `POST /prod/v1/trainers/datasets/${id}/upload`,
      type: 'multipart/form-data; boundary=B',
      body: form,
    },
    'get-upload-endpoint': {
      line: `POST /prod/v1/trainers/datasets/${id}/get-upload-endpoint`,
      type: 'application/json',
      body: Buffer.from('{"filenameToByteSize":{"caf\u00e9.jpg":12345,"b.txt":5}}'),
    },
    create: { line: 'POST /prod/v1/trainers/datasets', type: 'application/json', body: Buffer.from('{"name":"x y"}') },
    PUT: { line: `PUT ${url.pathname}${url.search}`, type: 'image/jpeg', body: form },
  };
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 8 }), async (requests) => {
      const answers = await Promise.all(
        requests.map(({ target, mutations, headMutations, hangUp, lengthError }) => {
          const { line, type, body } = heads[target]!;
          const damaged = mutated(body, mutations);
          const head = `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.token}\r\nContent-Type: ${type}\r\nConnection: close\r\nContent-Length: ${Math.max(0, damaged.length + lengthError)}\r\n\r\n`;
          return sendRaw(Buffer.concat([mutated(Buffer.from(head), headMutations), damaged]), hangUp);
        }),
      );
      for (const answer of answers) expect(answer).not.toMatch(/^HTTP\/1\.1 500/);
      expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    }),
    { numRuns: 80 },
  );
  expect(server.output()).not.toContain('"status":500');
  const { body } = await api.status(id);
  for (const { filename, size_bytes } of body.files) {
    const bytes = await (await api.raw('GET', `/${id}/files/${encodeURIComponent(filename)}`)).arrayBuffer();
    expect(bytes.byteLength).toBe(size_bytes);
  }
});
