import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { BASE_PATH, MAX_DIRECT_BYTES } from '../../src/api/limits.js';
import { whyNoHttpx } from '../harness/available.js';
import { discardServer, startServer } from '../harness/server.js';
import { captionPieces } from './contents.js';
import { pourDirect, pourLink } from './pour.js';
import { directHeaders, formOf, headOf, RawClient } from './raw-client.js';
import { faultsOf, peakMegabytes, remainsIn } from './remains.js';

const MEGABYTE = 1_000_000;
const BYTES = 10 * MEGABYTE;
const TWO_GIGABYTES = 2_000_000_000;
const MAX_MEMORY_MEGABYTES = 250;

/** Bytes in flight when the server stops reading: the buffers of both kernels, and the lingering read. */
const MAX_EXCESS_BYTES = 64 * MEGABYTE;

interface Upload {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly form?: ReturnType<typeof formOf>;
}

const server = await startServer();
const api = await server.api();
const id = await api.newDataset();
const exactLink = await api.link(id, 'exact.txt', 500 * MEGABYTE);
afterAll(async () => {
  const end = { faults: faultsOf(server), remains: remainsIn(server.dataFolder), peak: peakMegabytes(server) };
  await discardServer(server);
  expect(end).toMatchObject({ faults: [], remains: { staged: [], strays: [], missing: [] } });
  expect(end.peak).toBeLessThan(MAX_MEMORY_MEGABYTES);
});

/** Uploads that are refused before their body is read, by the status of the answer. */
const REFUSED: Record<string, () => Upload> = {
  '401 for a wrong token': () => direct('a.txt', { Authorization: 'Bearer ty_wrong' }),
  '404 for a missing dataset': () => ({ ...direct('a.txt'), url: `${api.url}${BASE_PATH}/missing/upload` }),
  '415 for a type that is not accepted': () => direct('a.exe'),
  '403 for a forged link': () => ({
    method: 'PUT',
    url: exactLink.replace(/signature=.{8}/, 'signature=AAAAAAAA'),
    headers: {},
  }),
  '422 for a PUT of the wrong size': () => ({ method: 'PUT', url: exactLink, headers: {} }),
};

function direct(filename: string, headers: Record<string, string> = {}): Upload {
  return {
    method: 'POST',
    url: `${api.url}${BASE_PATH}/${id}/upload`,
    headers: { ...directHeaders(api), ...headers },
    form: formOf(filename),
  };
}

function* wholeBody({ form }: Upload, bytes: number): Generator<Uint8Array> {
  if (form) yield Buffer.from(form.head);
  yield* captionPieces(bytes);
  if (form) yield Buffer.from(form.tail);
}

/** Sends the whole body before it reads a byte of the answer, as Python's httpx does. */
async function sendFirst(upload: Upload, bytes: number): Promise<string> {
  const client = await RawClient.open(upload.url);
  client.pause();
  const length = bytes + (upload.form === undefined ? 0 : upload.form.head.length + upload.form.tail.length);
  await client.send(headOf(upload.method, new URL(upload.url), { ...upload.headers, 'Content-Length': length }));
  for (const piece of wholeBody(upload, bytes)) await client.send(piece);
  client.resume();
  await client.closed();
  return String(client.answer()?.status);
}

async function byFetch(upload: Upload, bytes: number): Promise<string> {
  const body = new Blob([...wholeBody(upload, bytes)] as Uint8Array<ArrayBuffer>[]);
  const headers = { 'Content-Type': 'application/octet-stream', ...upload.headers };
  const response = await fetch(upload.url, { method: upload.method, headers, body });
  await response.json();
  return String(response.status);
}

/** Gives the body to a program, which reads all of it before it sends the first byte. */
async function byProgram(program: string, args: readonly string[], body: Iterable<Uint8Array>): Promise<string> {
  const running = promisify(execFile)(program, args);
  for (const piece of body) running.child.stdin?.write(piece);
  running.child.stdin?.end();
  return (await running).stdout;
}

function byCurl(upload: Upload, bytes: number): Promise<string> {
  const headers = Object.entries(upload.headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
  const args = ['--silent', '--request', upload.method, '--write-out', '%{http_code}', '--output', '/dev/null'];
  return byProgram('curl', [...args, ...headers, '--data-binary', '@-', upload.url], wholeBody(upload, bytes));
}

const HTTPX = `
import httpx, json, sys
upload = json.loads(sys.argv[1])
answer = httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=sys.stdin.buffer.read(), timeout=60)
print(answer.json()["error_code"] // 1000, end="")
`;

function byHttpx(upload: Upload, bytes: number): Promise<string> {
  return byProgram('/usr/bin/python3', ['-c', HTTPX, JSON.stringify(upload)], wholeBody(upload, bytes));
}

const SENDERS = { fetch: byFetch, curl: byCurl, ...(whyNoHttpx() === undefined && { httpx: byHttpx }) };

async function expectRefusal(name: string, send: typeof sendFirst): Promise<void> {
  expect(await send(REFUSED[name]!(), BYTES)).toBe(name.slice(0, 3));
  expect((await api.status(id)).body).toMatchObject({ files: [], counts: { captions: 0 } });
}

test.each(Object.keys(REFUSED))('%s is received by a client that sends everything first', (name) =>
  expectRefusal(name, sendFirst),
);

test.each(Object.entries(SENDERS))('what is refused is received by %s', async (_, send) => {
  await expectRefusal('401 for a wrong token', send);
  await expectRefusal('422 for a PUT of the wrong size', send);
});

test('a body is read up to the limit, and one that announces more or is no longer wanted is hardly read', async () => {
  const own = await api.newDataset();
  const limit = await pourDirect(api, own, 'limit.txt', { bytes: MAX_DIRECT_BYTES });
  expect(limit).toMatchObject({ status: 200, body: { size_bytes: 150_000_000, kind: 'caption' } });
  for (const bytes of [MAX_DIRECT_BYTES + 1, TWO_GIGABYTES]) {
    const { status, body, bytesSent } = await pourDirect(api, own, 'more.txt', {
      bytes,
      isChunked: bytes === TWO_GIGABYTES,
    });
    expect({ status, code: body.error_code }).toEqual({ status: 413, code: 413001 });
    expect(body.error_message).toContain('get-upload-endpoint');
    expect(bytesSent).toBeLessThan(MAX_DIRECT_BYTES + MAX_EXCESS_BYTES);
  }
  const announced = await pourDirect(api, own, 'huge.txt', { bytes: TWO_GIGABYTES });
  const [more, fewer] = [await pourLink(exactLink, TWO_GIGABYTES), await pourLink(exactLink, 400 * MEGABYTE)];
  expect([announced, more, fewer].map(({ body }) => body.error_code)).toEqual([413001, 413001, 422005]);
  for (const { bytesSent } of [announced, more, fewer]) expect(bytesSent).toBeLessThan(MAX_EXCESS_BYTES);
  expect(await api.filenames(own)).toEqual(['limit.txt']);
});
