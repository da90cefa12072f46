import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { notedJpeg } from './contents.js';
import { headOf, putBytes, type RawAnswer, RawClient } from './raw-client.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

const IDLE_SECONDS = 2;
const LINK_SECONDS = 2;

let impatient: TestServer;
let shortLinks: TestServer;
let api: Api;

beforeAll(async () => {
  impatient = await startServer({ 'idle-seconds': 1 });
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

const jsonHead = (path: string, bytes: number) =>
  headOf('POST', new URL(`${api.url}${BASE_PATH}${path}`), {
    Authorization: `Bearer ${api.token}`,
    'Content-Length': bytes,
  });

test('bodies and headers that arrive byte by byte are answered with 408, and one that is fast enough for its size is not', {
  tags: ['long'],
}, async () => {
  const slow = async (first: string, rest: Buffer) => {
    const client = await RawClient.open(impatient.url);
    await client.send(first);
    const { status, body } = await trickle(client, rest);
    await client.hangUp();
    return { status, code: body.error_code };
  };
  const spaces = Buffer.alloc(500_000, ' ');
  const batch = `/${await api.newDataset()}/get-upload-endpoint`;
  const answers = Promise.all([
    slow(jsonHead('', 500_000), spaces),
    slow(jsonHead('', 16_000).replace('POST', 'GET'), spaces),
    slow('GET /healthz HTTP/1.1\r\nHost: yard\r\nX-Slow: ', Buffer.alloc(10_000, 'x')),
  ]);
  const fast = await RawClient.open(impatient.url);
  const bytes = Buffer.from(JSON.stringify({ filenameToByteSize: { 'a.txt': 1 } }).padEnd(1_000_000));
  await fast.send(jsonHead(batch, bytes.length), bytes.subarray(0, 900_000));
  expect(await answers).toEqual(Array(3).fill({ status: 408, code: 408002 }));
  await fast.send(bytes.subarray(900_000));
  expect(await eventually(() => fast.answer())).toMatchObject({ status: 200 });
  await fast.hangUp();
});
