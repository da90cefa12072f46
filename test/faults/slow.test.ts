import { afterAll, describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { put } from '../harness/api.js';
import { discardServer, eventually, startServer } from '../harness/server.js';
import { captionPieces, notedJpeg } from './contents.js';
import { headOf, putBytes, RawClient } from './raw-client.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

const IDLE_SECONDS = 2;
const LINK_SECONDS = 2;

const impatient = await startServer({ 'idle-seconds': 1 });
const shortLinks = await startServer({ 'idle-seconds': IDLE_SECONDS, 'link-seconds': LINK_SECONDS });
const api = await impatient.api();

afterAll(async () => {
  expect([...faultsOf(impatient), ...faultsOf(shortLinks)]).toEqual([]);
  expect(remainsIn(impatient.dataFolder)).toEqual(NOTHING_REMAINS);
  await discardServer(impatient);
  await discardServer(shortLinks);
});

const picture = notedJpeg('a picture that takes its time', 50_000);

/** They wait most of the time. */
describe.concurrent('a client that is slow', () => {
  test('and stalls in a PUT is cut off with 408, and its link can be used again', async () => {
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

  test('but steady in a PUT outlasts the idle time and its link', async () => {
    const patient = await shortLinks.api();
    const id = await patient.newDataset();
    const url = await patient.link(id, 'steady.jpg', picture.length);
    const client = await RawClient.open(shortLinks.url);
    const bytes = putBytes(url, picture);
    const late = Date.now() + (LINK_SECONDS + IDLE_SECONDS) * 1000;
    let sent = bytes.length - picture.length;
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

  test('in a download is served as long as it reads, and given up once it reads nothing', async () => {
    const id = await api.newDataset();
    const bytes = Buffer.concat([...captionPieces(30_000_000)]);
    await api.upload(id, 'large.txt', bytes);
    const path = `/${id}/files/large.txt`;
    const stuck = await api.raw('GET', path);
    const reader = (await api.raw('GET', path)).body!.getReader();
    const late = Date.now() + 2000;
    let received = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      received += value.length;
      if (Date.now() < late) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(received).toBe(bytes.length);
    await expect(stuck.arrayBuffer()).rejects.toThrow();
  });

  test('byte by byte in a body or a header is answered with 408', { tags: ['long'] }, async () => {
    const headers = { Authorization: `Bearer ${api.token}`, 'Content-Length': 500_000 };
    const body = headOf('POST', new URL(`${api.url}${BASE_PATH}`), headers);
    for (const first of [body, 'GET /healthz HTTP/1.1\r\nHost: yard\r\nX-Slow: ']) {
      const client = await RawClient.open(impatient.url);
      await client.send(first);
      const answer = await eventually(async () => {
        await client.send(' ');
        return client.answer();
      });
      expect(answer).toMatchObject({ status: 408, body: { error_code: 408002 } });
      await client.hangUp();
    }
  });
});
