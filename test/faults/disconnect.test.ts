import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { notedJpeg, sha256 } from './contents.js';
import { directBytes, directHead, formOf, headOf, putBytes, RawClient } from './raw-client.js';
import { faultsOf, isAlive, NOTHING_REMAINS, openFiles, remainsIn } from './remains.js';

let server: TestServer;
let api: Api;

beforeAll(async () => {
  server = await startServer();
  api = await server.api();
});

afterEach(() => {
  expect(isAlive(server)).toBe(true);
  expect(faultsOf(server)).toEqual([]);
});

afterAll(() => discardServer(server));

const picture = notedJpeg('a picture of which only a part arrives', 200_000);
const half = picture.subarray(0, picture.length / 2);

/** Waits until the server has noticed all disconnects, of which some may not have arrived yet, and cleaned up. */
async function expectNothingOf(id: string, counts: { pending: number }): Promise<void> {
  await expect
    .poll(async () => ({ ...(await api.status(id)).body, remains: remainsIn(server.dataFolder) }))
    .toMatchObject({ files: [], counts: { ...counts, images: 0, rejected: 0 }, remains: NOTHING_REMAINS });
}

/** Waits until the server writes the upload to disk. */
async function beingReceived(): Promise<void> {
  await eventually(() => (remainsIn(server.dataFolder).staged.length > 0 ? true : undefined));
}

const ENDINGS = [
  ['closes', (client: RawClient) => client.hangUp()],
  ['resets the connection', (client: RawClient) => client.reset()],
  [
    'stops sending',
    async (client: RawClient) => {
      client.finish();
      await client.closed();
    },
  ],
] as const;

test.each(ENDINGS)('a direct upload whose client %s in the middle leaves nothing', async (_, end) => {
  const id = await api.newDataset();
  const client = await RawClient.open(server.url);
  const whole = directBytes(api, id, 'cut.jpg', picture);
  await client.send(whole.subarray(0, whole.length / 2));
  await beingReceived();
  await end(client);
  await expectNothingOf(id, { pending: 0 });
  expect((await api.status(id)).body.status).toBe('DRAFT');
});

test.each(ENDINGS)('a link whose client %s in the middle of the PUT can be used again', async (_, end) => {
  const id = await api.newDataset();
  const url = await api.link(id, 'cut.jpg', picture.length);
  const client = await RawClient.open(server.url);
  await client.send(putBytes(url, picture).subarray(0, picture.length / 2));
  await beingReceived();
  await end(client);
  await expectNothingOf(id, { pending: 1 });
  expect((await api.status(id)).body.status).toBe('UPLOADING');
  expect((await put(url, picture)).status).toBe(200);
  expect((await api.status(id)).body.files).toMatchObject([{ filename: 'cut.jpg', sha256: sha256(picture) }]);
});

const OPEN_ENDS = [
  ['in its file', ''],
  ['behind its file', formOf('open.jpg').tail.replace(/--\r\n$/, '\r\n')],
] as const;

test.each(OPEN_ENDS)('a form that ends %s is refused, though its length is as announced', async (_, end) => {
  const id = await api.newDataset();
  const { head } = formOf('open.jpg');
  const client = await RawClient.open(server.url);
  const contentLength = head.length + picture.length + end.length;
  await client.send(directHead(api, id, { 'Content-Length': contentLength }), head, picture, end);
  const { status, body } = await eventually(() => client.answer());
  expect({ status, code: body.error_code }).toEqual({ status: 422, code: 422001 });
  await expectNothingOf(id, { pending: 0 });
  await client.hangUp();
});

test('a form whose end comes late is waited for', async () => {
  const id = await api.newDataset();
  const { head, tail } = formOf('late.jpg');
  const client = await RawClient.open(server.url);
  const contentLength = head.length + picture.length + tail.length;
  await client.send(directHead(api, id, { 'Content-Length': contentLength }), head, picture);
  await beingReceived();
  expect((await api.status(id)).body.files).toEqual([]);
  await client.send(tail);
  expect((await eventually(() => client.answer())).status).toBe(200);
  expect(await api.filenames(id)).toEqual(['late.jpg']);
  await client.hangUp();
});

test('a client that leaves before its answer has uploaded the whole file or nothing', async () => {
  const id = await api.newDataset();
  const names = Array.from({ length: 24 }, (_, i) => `left_${i}.jpg`);
  await Promise.all(
    names.map(async (filename, i) => {
      const client = await RawClient.open(server.url);
      await client.send(directBytes(api, id, filename, picture));
      // Some disconnect at once, others while the image is inspected.
      if (i % 2 === 0) await api.status(id);
      await client.hangUp();
    }),
  );
  const { files } = await eventually(async () => {
    const { body } = await api.status(id);
    return body.counts.pending === 0 ? body : undefined;
  });
  expect(files.filter((file) => file.sha256 !== sha256(picture))).toEqual([]);
  // An upload that arrives late has its blob before its row.
  await expect.poll(() => remainsIn(server.dataFolder)).toMatchObject({ staged: [], strays: [], missing: [] });
  expect((await api.upload(id, 'after.jpg', picture)).status).toBe(200);
});

test('a client may leave in the middle of a body that is refused', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'refused.jpg', picture.length);
  const longer = headOf('PUT', new URL(url), { 'Content-Length': picture.length + 1 });
  const retired = await api.link(id, 'retired.jpg', picture.length);
  await api.link(id, 'retired.jpg', picture.length);
  const nowhere = directBytes(api, 'no-such-dataset', 'a.jpg', picture);
  const json = { 'Content-Length': 1000, 'Content-Type': 'application/json', Authorization: `Bearer ${api.token}` };
  const requests = [
    Buffer.concat([Buffer.from(longer), half]),
    putBytes(retired, picture).subarray(0, picture.length / 2),
    putBytes(`${url}x`, picture).subarray(0, picture.length / 2),
    nowhere.subarray(0, nowhere.length / 2),
    Buffer.from(`${headOf('POST', new URL(`${server.url}${BASE_PATH}`), json)}{"name":`),
  ];
  for (const bytes of requests) {
    for (const [, end] of ENDINGS.slice(0, 2)) {
      const early = await RawClient.open(server.url);
      await early.send(bytes);
      await end(early);
      const late = await RawClient.open(server.url);
      await late.send(bytes);
      if (!bytes.includes('"name":')) expect((await eventually(() => late.answer())).status).toBeGreaterThan(399);
      await end(late);
    }
  }
  expect((await put(url, picture)).status).toBe(200);
});

test('a hundred hang-ups leave no file open', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'again.jpg', picture.length);
  const hangUp = async (i: number) => {
    const client = await RawClient.open(server.url);
    const whole = i % 2 === 0 ? putBytes(url, picture) : directBytes(api, id, `direct_${i}.jpg`, picture);
    await client.send(whole.subarray(0, (whole.length * (i % 10)) / 10));
    if (i % 3 === 0) await api.status(id);
    await (i % 4 === 0 ? client.reset() : client.hangUp());
  };
  // Opens everything that stays open, such as threads and connections of this client, before counting.
  await Promise.all(Array.from({ length: 10 }, (_, i) => hangUp(i)));
  await expectNothingOf(id, { pending: 1 });
  const before = openFiles(server);
  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 10 }, (_, i) => hangUp(i)));
  await expectNothingOf(id, { pending: 1 });
  await eventually(() => (openFiles(server) <= before ? true : undefined));
  expect((await put(url, picture)).status).toBe(200);
});

test('a client that asks before it sends is told to go on', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'asked.jpg', picture.length);
  const headers = { 'Content-Length': picture.length, Expect: '100-continue' };
  const client = await RawClient.open(server.url);
  await client.send(headOf('PUT', new URL(url), headers));
  await eventually(() => (client.received.startsWith('HTTP/1.1 100 Continue\r\n') ? true : undefined));
  expect(client.answer()).toBeUndefined();
  await client.send(picture);
  expect((await eventually(() => client.answer())).status).toBe(200);
  await client.hangUp();
});

test('a PUT that does not say how long it is gets 411, and the link stays good', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'chunked.jpg', picture.length);
  const client = await RawClient.open(server.url);
  await client.send(headOf('PUT', new URL(url), { 'Transfer-Encoding': 'chunked' }), '5\r\nbytes\r\n');
  const { status, body } = await eventually(() => client.answer());
  expect({ status, code: body.error_code }).toEqual({ status: 411, code: 411001 });
  await client.hangUp();
  expect((await put(url, picture)).status).toBe(200);
});
