import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import { clip } from '../fixtures/media.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { notedJpeg } from './contents.js';
import { directHead, formOf, headOf, putBytes, type RawAnswer, RawClient } from './raw-client.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

const IDLE_SECONDS = 2;
const LINK_SECONDS = 2;

let impatient: TestServer;
let shortLinks: TestServer;
let api: Api;

beforeAll(async () => {
  impatient = await startServer({ 'idle-seconds': 1, 'direct-seconds': 1, 'request-seconds': 1 });
  shortLinks = await startServer({ 'idle-seconds': IDLE_SECONDS, 'link-seconds': LINK_SECONDS });
  api = await impatient.api();
});

afterEach(() => {
  expect([...faultsOf(impatient), ...faultsOf(shortLinks)]).toEqual([]);
  expect(remainsIn(impatient.dataFolder)).toEqual(NOTHING_REMAINS);
});

afterAll(async () => {
  await discardServer(impatient);
  await discardServer(shortLinks);
});

const picture = notedJpeg('a picture that takes its time', 50_000);

/** Sends single bytes until an answer arrives or `keep` bytes are left. */
async function trickle(client: RawClient, bytes: Buffer, { keep = 1 } = {}): Promise<RawAnswer> {
  let sent = 0;
  return eventually(async () => {
    if (sent < bytes.length - keep) await client.send(bytes.subarray(sent, ++sent));
    return client.answer();
  });
}

test('a PUT that stalls is cut off with 408, and its link can be used again', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'stalled.jpg', picture.length);
  const client = await RawClient.open(impatient.url);
  await client.send(putBytes(url, picture).subarray(0, -1));
  const { status, body } = await eventually(() => client.answer());
  expect({ status, code: body.error_code }).toEqual({ status: 408, code: 408001 });
  await client.closed();
  expect((await api.status(id)).body).toMatchObject({ status: 'UPLOADING', files: [], counts: { pending: 1 } });
  expect((await put(url, picture)).status).toBe(200);
  expect(await api.filenames(id)).toEqual(['stalled.jpg']);
});

test('a PUT that is slow but steady outlasts the idle time and its link', async () => {
  const patient = await shortLinks.api();
  const id = await patient.newDataset();
  const url = await patient.link(id, 'steady.jpg', picture.length);
  const client = await RawClient.open(shortLinks.url);
  const bytes = putBytes(url, picture);
  const headLength = bytes.length - picture.length;
  const late = Date.now() + (LINK_SECONDS + IDLE_SECONDS) * 1000;
  let sent = headLength;
  await client.send(bytes.subarray(0, sent));
  await eventually(async () => {
    await client.send(bytes.subarray(sent, ++sent));
    return Date.now() > late ? true : undefined;
  });
  expect(client.answer()).toBeUndefined();
  expect((await put(url, picture)).body.error_code).toBe(403002);
  await client.send(bytes.subarray(sent));
  expect((await eventually(() => client.answer())).status).toBe(200);
  expect(await patient.filenames(id)).toEqual(['steady.jpg']);
  await client.hangUp();
});

const { head, tail } = formOf('slow.jpg');
const SLOW = [
  ['in its file', head, Buffer.from(picture)],
  ['after its file', `${head}${'x'.repeat(1000)}`, Buffer.from(tail)],
  ['before its file', '', Buffer.from(head)],
  ['in an unknown field', formOf('other.jpg', { field: 'other' }).head, Buffer.from(picture)],
] as const;

test.each(SLOW)('a direct upload that is slow %s is answered with 408 in time', async (_, first, rest) => {
  const id = await api.newDataset();
  const client = await RawClient.open(impatient.url);
  await client.send(directHead(api, id, { 'Content-Length': 1_000_000 }), first);
  const { status, body } = await trickle(client, rest);
  expect({ status, code: body.error_code }).toEqual({ status: 408, code: 408001 });
  await client.hangUp();
  expect((await api.status(id)).body).toMatchObject({ status: 'DRAFT', files: [], counts: { pending: 0 } });
});

test('a direct upload that stalls is answered with 408', async () => {
  const id = await api.newDataset();
  const client = await RawClient.open(impatient.url);
  await client.send(directHead(api, id, { 'Content-Length': 1_000_000 }));
  expect((await eventually(() => client.answer())).status).toBe(408);
  await client.hangUp();
});

const jsonHead = (path: string, bytes: number) =>
  headOf('POST', new URL(`${api.url}${BASE_PATH}${path}`), {
    Authorization: `Bearer ${api.token}`,
    'Content-Length': bytes,
  });

test.each([
  ['a JSON body', () => jsonHead('', 500_000)],
  ['a JSON body of a large batch', async () => jsonHead(`/${await api.newDataset()}/get-upload-endpoint`, 30_000_000)],
  ['the body of a GET', () => jsonHead('', 16_000).replace('POST', 'GET')],
])('%s that arrives byte by byte is answered with 408 in time', async (_, makeHead) => {
  const client = await RawClient.open(impatient.url);
  await client.send(await makeHead());
  const { status, body } = await trickle(client, Buffer.alloc(500_000, ' '));
  expect({ status, code: body.error_code }).toEqual({ status: 408, code: 408002 });
  await client.hangUp();
});

test('headers that arrive byte by byte are answered with 408 in time', async () => {
  const client = await RawClient.open(impatient.url);
  const head = `GET /healthz HTTP/1.1\r\nHost: yard\r\nX-Slow: ${'x'.repeat(10_000)}`;
  const { status, body } = await trickle(client, Buffer.from(head));
  expect({ status, code: body.error_code }).toEqual({ status: 408, code: 408002 });
  await client.hangUp();
});

test('a JSON body that arrives fast enough for its size outlasts the time of a small one', async () => {
  const client = await RawClient.open(impatient.url);
  const body = Buffer.from(JSON.stringify({ name: 'patience' }).padEnd(1_000_000));
  await client.send(jsonHead('', body.length), body.subarray(0, 900_000));
  const late = Date.now() + 2000;
  let sent = 900_000;
  await eventually(async () => {
    await client.send(body.subarray(sent, ++sent));
    return Date.now() > late ? true : undefined;
  });
  await client.send(body.subarray(sent));
  expect(await eventually(() => client.answer())).toMatchObject({ status: 200, body: { name: 'patience' } });
  await client.hangUp();
});

test('a direct upload whose check takes too long is not blamed on the connection', async () => {
  const folder = await temporaryFolder();
  const ffmpeg = join(folder, 'ffmpeg');
  await writeFile(
    ffmpeg,
    '#!/bin/sh\ncase "$*" in *-version*) echo "ffmpeg version 7.1" ;; *) exec sleep 600 ;; esac\n',
  );
  await chmod(ffmpeg, 0o755);
  const busy = await startServer({ 'direct-seconds': 3, ffmpeg });
  const client = await busy.api();
  const id = await client.newDataset();
  const { status, headers, body } = await client.upload(id, 'clip.mp4', clip('faststart.mp4'));
  expect({ status, code: body.error_code }).toEqual({ status: 503, code: 503003 });
  expect(headers.get('retry-after')).not.toBeNull();
  expect(body.error_message).toMatch(/^The whole file arrived, but .* within 3 s\. .*get-upload-endpoint/);
  expect((await client.status(id)).body).toMatchObject({ status: 'DRAFT', files: [] });
  expect(remainsIn(busy.dataFolder)).toEqual(NOTHING_REMAINS);
  await discardServer(busy);
  await rm(folder, { recursive: true });
});
