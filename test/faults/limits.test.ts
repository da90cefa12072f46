import { afterEach, beforeEach, expect, test } from 'vitest';
import { MAX_DIRECT_BYTES } from '../../src/api/limits.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { captionPieces } from './contents.js';
import { directHead, formOf, pourDirect, pourLink, RawClient } from './raw-client.js';
import { faultsOf, peakMegabytes, remainsIn } from './remains.js';

const MEGABYTE = 1_000_000;
const TWO_GIGABYTES = 2_000_000_000;

const MAX_MEGABYTES = 250;

/** Bytes in flight when the server stops reading: the buffers of both kernels, and the lingering read. */
const MAX_EXCESS_BYTES = 64 * MEGABYTE;

let server: TestServer;
let api: Api;

beforeEach(async () => {
  server = await startServer();
  api = await server.api();
});

afterEach(async () => {
  const end = { peak: peakMegabytes(server), faults: faultsOf(server), remains: remainsIn(server.dataFolder) };
  await discardServer(server);
  expect(end).toMatchObject({ faults: [], remains: { staged: [], strays: [], missing: [] } });
  expect(end.peak).toBeLessThan(MAX_MEGABYTES);
});

test('a direct upload of exactly the limit is stored, and one of a byte more is rejected', async () => {
  const id = await api.newDataset();
  const upload = (filename: string, bytes: number) =>
    pourDirect(api, id, filename, { pieces: captionPieces(bytes), contentLength: bytes });
  expect(await upload('limit.txt', MAX_DIRECT_BYTES)).toMatchObject({
    status: 200,
    body: { size_bytes: 150_000_000, kind: 'caption' },
  });
  const { status, body } = await upload('more.txt', MAX_DIRECT_BYTES + 1);
  expect({ status, code: body.error_code }).toEqual({ status: 413, code: 413001 });
  expect(body.error_message).toContain('get-upload-endpoint');
  expect((await api.status(id)).body).toMatchObject({ files: [{ filename: 'limit.txt' }], counts: { pending: 0 } });
});

const ENDLESS = [
  ['its file', 'endless.txt', captionPieces(TWO_GIGABYTES)],
  ['an unknown field', formOf('endless.txt', { field: 'other' }), captionPieces(TWO_GIGABYTES)],
] as const;

test.each(ENDLESS)(
  'a body that does not say how long %s is gets cut off at the limit, and its client reads why',
  async (_, form, pieces) => {
    const id = await api.newDataset();
    const { status, body, bytesSent } = await pourDirect(api, id, form, { pieces });
    expect({ status, code: body.error_code }).toEqual({ status: 413, code: 413001 });
    expect(body.error_message).toContain('get-upload-endpoint');
    expect(bytesSent).toBeGreaterThan(MAX_DIRECT_BYTES);
    expect(bytesSent).toBeLessThan(MAX_DIRECT_BYTES + MAX_EXCESS_BYTES);
    expect((await api.status(id)).body).toMatchObject({ status: 'DRAFT', files: [], counts: { pending: 0 } });
  },
);

test('a client that only sends is cut off soon after the limit, and finds the answer', async () => {
  const id = await api.newDataset();
  const client = await RawClient.open(server.url);
  const { head } = formOf('deaf.txt');
  await client.send(directHead(api, id, { 'Transfer-Encoding': 'chunked' }), chunkOf(Buffer.from(head)));
  let bytesSent = 0;
  for (const piece of captionPieces(MAX_DIRECT_BYTES + TWO_GIGABYTES)) {
    if (!(await client.send(chunkOf(piece)))) break;
    bytesSent += piece.length;
  }
  await client.closed();
  expect(client.answer()).toMatchObject({ status: 413, body: { error_code: 413001 } });
  expect(bytesSent).toBeLessThan(MAX_DIRECT_BYTES + MAX_EXCESS_BYTES);
});

test.each([
  ['a body that is far too large', (id: string) => directHead(api, id, { 'Content-Length': TWO_GIGABYTES }), 413],
])('a client that reads late finds the answer to %s', async (_, head, status) => {
  const client = await RawClient.open(server.url);
  await client.send(head(await api.newDataset()));
  expect(await client.sendUntilFull(Buffer.alloc(MEGABYTE), 500)).toBe(true);
  await eventually(() => client.answer());
  expect(client.answer()?.status).toBe(status);
  await client.hangUp();
});

function chunkOf(piece: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
}

test('a body that announces far more than the limit is hardly read at all', async () => {
  const id = await api.newDataset();
  const pieces = captionPieces(TWO_GIGABYTES);
  const { status, bytesSent } = await pourDirect(api, id, 'huge.txt', { pieces, contentLength: TWO_GIGABYTES });
  expect(status).toBe(413);
  expect(bytesSent).toBeLessThan(MAX_EXCESS_BYTES);
});

test('a PUT of more or fewer bytes than reserved is rejected before they are read', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'promised.txt', 500 * MEGABYTE);
  for (const [bytes, code] of [
    [TWO_GIGABYTES, 413001],
    [400 * MEGABYTE, 422005],
  ] as const) {
    const { body, bytesSent } = await pourLink(url, { pieces: captionPieces(bytes), contentLength: bytes });
    expect(body.error_code).toBe(code);
    expect(bytesSent).toBeLessThan(MAX_EXCESS_BYTES);
  }
});
