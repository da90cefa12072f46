import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import type { Api } from '../harness/api.js';
import { whyNoHttpx } from '../harness/available.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import { captionPieces } from './contents.js';
import { formOf, headOf } from './raw-client.js';

const MEGABYTE = 1_000_000;
const SIZES = [1, 10, 30, 149].map((megabytes) => megabytes * MEGABYTE);

interface Upload {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly form?: ReturnType<typeof formOf>;
}

let server: TestServer;
let api: Api;
let id: string;
let exactLink: string;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
  id = await api.newDataset();
  exactLink = await api.link(id, 'exact.txt', 500 * MEGABYTE);
});
afterAll(() => discardServer(server));

const multipart = 'multipart/form-data; boundary=between-the-parts';

/** Uploads that are refused before their body is read, by the status of the answer. */
const REFUSED: Record<string, () => Upload> = {
  '401 for a wrong token': () => direct('a.txt', { authorization: 'Bearer ty_wrong' }),
  '404 for a missing dataset': () => ({ ...direct('a.txt'), url: `${api.url}${BASE_PATH}/missing/upload` }),
  '415 for a body that is no form': () => direct('a.txt', { 'content-type': 'text/plain' }),
  '415 for a type that is not accepted': () => direct('a.exe'),
  '422 for a name with a slash': () => direct('a/b.txt'),
  '403 for a forged link': () => ({
    method: 'PUT',
    url: exactLink.replace(/signature=.{8}/, 'signature=AAAAAAAA'),
    headers: {},
  }),
  '422 for a PUT of the wrong size': () => ({ method: 'PUT', url: exactLink, headers: {} }),
};

function direct(filename: string, headers: Record<string, string> = {}): Upload {
  const authorization = `Bearer ${api.token}`;
  return {
    method: 'POST',
    url: `${api.url}${BASE_PATH}/${id}/upload`,
    headers: { authorization, 'content-type': multipart, ...headers },
    form: formOf(filename),
  };
}

function bodyBytes({ form }: Upload, bytes: number): number {
  return bytes + (form === undefined ? 0 : form.head.length + form.tail.length);
}

/** Sends the whole body before it reads a byte of the answer, as Python's httpx does. */
async function sendFirst(upload: Upload, bytes: number): Promise<string> {
  const url = new URL(upload.url);
  const socket = connect(Number(url.port), url.hostname);
  await once(socket, 'connect');
  socket.pause();
  const write = (piece: string | Uint8Array) =>
    new Promise<void>((resolve, reject) => socket.write(piece, (error) => (error ? reject(error) : resolve())));
  await write(headOf(upload.method, url, { ...upload.headers, 'content-length': bodyBytes(upload, bytes) }));
  await write(upload.form?.head ?? '');
  for (const piece of captionPieces(bytes)) await write(piece);
  await write(upload.form?.tail ?? '');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.resume();
  await once(socket, 'close');
  return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? answer;
}

function* wholeBody(upload: Upload, bytes: number): Generator<Uint8Array> {
  if (upload.form) yield Buffer.from(upload.form.head);
  yield* captionPieces(bytes);
  if (upload.form) yield Buffer.from(upload.form.tail);
}

async function byFetch(upload: Upload, bytes: number): Promise<string> {
  const body = new Blob([...wholeBody(upload, bytes)] as Uint8Array<ArrayBuffer>[]);
  const headers = { 'content-type': 'application/octet-stream', ...upload.headers };
  const response = await fetch(upload.url, { method: upload.method, headers, body });
  await response.json();
  return String(response.status);
}

async function byCurl({ method, url, headers, form }: Upload, bytes: number): Promise<string> {
  const args = ['--silent', '--request', method, '--write-out', '%{http_code}', '--output', '/dev/null'];
  for (const [name, value] of Object.entries(headers)) args.push('--header', `${name}: ${value}`);
  const child = promisify(execFile)('curl', [...args, '--data-binary', '@-', url]);
  const { stdin } = child.child;
  // curl reads all of its input before it sends the first byte.
  for (const piece of wholeBody({ method, url, headers, ...(form && { form }) }, bytes)) stdin?.write(piece);
  stdin?.end();
  return (await child).stdout;
}

const HTTPX = `
import httpx, json, sys
upload = json.loads(sys.argv[1])
answer = httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=sys.stdin.buffer.read(), timeout=60)
print(answer.json()["error_code"] // 1000, end="")
`;

async function byHttpx({ method, url, headers, form }: Upload, bytes: number): Promise<string> {
  const child = promisify(execFile)('/usr/bin/python3', ['-c', HTTPX, JSON.stringify({ method, url, headers })]);
  const { stdin } = child.child;
  for (const piece of wholeBody({ method, url, headers, ...(form && { form }) }, bytes)) stdin?.write(piece);
  stdin?.end();
  return (await child).stdout;
}

const withoutHttpx = whyNoHttpx();
if (withoutHttpx) console.warn(`httpx is left out: ${withoutHttpx}`);

describe.each(Object.entries(REFUSED))('%s', (name, makeUpload) => {
  const status = name.slice(0, 3);
  const senders = {
    'a client that sends everything first': sendFirst,
    fetch: byFetch,
    curl: byCurl,
    ...(withoutHttpx === undefined && { httpx: byHttpx }),
  };

  test.each(Object.entries(senders))('is received by %s, for every size', async (_, send) => {
    const received = [];
    for (const bytes of SIZES) received.push(await send(makeUpload(), bytes));
    expect(received).toEqual(SIZES.map(() => status));
  });
});

test('the service serves on, and nothing was stored', async () => {
  expect((await api.status(id)).body).toMatchObject({ files: [], counts: { captions: 0 } });
});
