import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import type { WireRecheck } from '../../src/api/schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import { maskPng } from '../fixtures/masks.js';
import * as media from '../fixtures/media.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
let client: TrainyardClient;
let blackJpeg: Buffer;
beforeAll(async () => {
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  blackJpeg = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#000' } })
    .jpeg()
    .toBuffer();
});

const BLACK_PNG = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: () => [0] });
const GREY_PNG = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: (x) => [x * 20] });

const newMask = async (name: string) => (await client.create(name, { role: 'mask' })).id;
const setRole = (id: string, role: string) => api.json('PATCH', `/${id}`, { role });

async function warningsOf(id: string): Promise<string[]> {
  const { warnings } = await client.status(id);
  return warnings.map(({ code, filename }) => `${filename} ${code}`).filter((text) => !text.endsWith('_CAPTION'));
}
const becomes = (id: string, ...expected: string[]) =>
  eventually(async () => JSON.stringify(await warningsOf(id)) === JSON.stringify(expected) || undefined);

const rechecked = (id: string) =>
  eventually(async () => {
    const { body } = await api.request<{ state: string; total: number }>('GET', `/${id}/recheck`);
    return body.state === 'finished' ? body : undefined;
  });

test('masks are inspected when they are uploaded, directly and through links', async () => {
  const id = await newMask('uploaded');
  await api.upload(id, 'a.jpg', blackJpeg);
  await api.upload(id, 'b.png', GREY_PNG);
  const url = await api.link(id, 'c.png', BLACK_PNG.length);
  expect((await fetch(url, { method: 'PUT', body: new Uint8Array(BLACK_PNG) })).status).toBe(200);
  expect(await warningsOf(id)).toEqual(['a.jpg BLACK_MASK', 'c.png BLACK_MASK']);
  expect(await client.status(id)).toMatchObject({ status: 'READY' });
});

test('images are inspected as masks as long as their dataset is one', async () => {
  const { id } = await client.create('photos');
  for (const [name, bytes] of [
    ['a.jpg', blackJpeg],
    ['b.png', BLACK_PNG],
  ] as const) {
    await api.upload(id, name, bytes);
  }
  expect(await warningsOf(id)).toEqual([]);
  expect((await setRole(id, 'mask')).status).toBe(200);
  await becomes(id, 'a.jpg BLACK_MASK', 'b.png BLACK_MASK');
  expect(await rechecked(id)).toMatchObject({ total: 2 });
  await setRole(id, 'training');
  await becomes(id);
});

test('a restored file is inspected in the role that its dataset has by then', async () => {
  const { id } = await client.create('restored');
  await api.upload(id, 'a.png', BLACK_PNG);
  await api.upload(id, 'b.png', GREY_PNG);
  await client.removeFile(id, 'a.png');
  await setRole(id, 'mask');
  await rechecked(id);
  await client.history.restore(id, 1);
  await becomes(id, 'a.png BLACK_MASK');
});

test('a recheck is started, reports its progress, and finds nothing in intact files', async () => {
  const id = await api.newDataset();
  const recheck = (method: string) => api.request<WireRecheck>(method, `/${id}/recheck`);
  await api.upload(id, 'a.jpg', await media.jpeg());
  await api.upload(id, 'a.mp4', media.clip('faststart.mp4'));
  await api.upload(id, 'a.txt', 'a dog');
  // A job adds the placeholder of the image.
  await eventually(async () => (await api.status(id)).body.files.some(({ thumbhash }) => thumbhash) || undefined);
  const before = (await api.status(id)).body;
  expect(await recheck('GET')).toMatchObject({
    status: 200,
    body: { dataset_id: id, state: 'never', total: 0, checked: 0, problems: [] },
  });
  const started = await recheck('POST');
  expect(started).toMatchObject({ status: 200, body: { total: 3, started_at: expect.any(String) } });
  const finished = await rechecked(id);
  const { started_at } = started.body;
  expect(finished).toEqual({
    ...{ dataset_id: id, state: 'finished', total: 3, checked: 3, problems: [] },
    ...{ started_at, finished_at: expect.any(String) },
  });
  expect((await api.status(id)).body).toEqual(before);
});
