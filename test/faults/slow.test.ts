import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Api, put } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { notedJpeg } from './contents.js';
import { directHead, formOf, putBytes, type RawAnswer, RawClient } from './raw-client.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

const IDLE_SECONDS = 2;
const LINK_SECONDS = 2;

let impatient: TestServer;
let shortLinks: TestServer;
let api: Api;

beforeAll(async () => {
  impatient = await startServer({ 'idle-seconds': 1, 'direct-seconds': 1 });
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
