import { expect, test } from 'vitest';
import type { WireRecheck } from '../../src/api/schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import { maskPng } from '../fixtures/masks.js';
import * as media from '../fixtures/media.js';
import { put } from '../harness/api.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });

const BLACK = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: () => [0] });
const GREY = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: (x) => [x * 20] });

const setRole = (id: string, role: string) => api.json('PATCH', `/${id}`, { role });

async function warningsOf(id: string): Promise<string[]> {
  const { warnings } = await client.status(id);
  return warnings.map(({ code, filename }) => `${filename} ${code}`).filter((text) => !text.endsWith('_CAPTION'));
}

const rechecked = (id: string) =>
  eventually(async () => {
    const { body } = await api.request<{ state: string; total: number }>('GET', `/${id}/recheck`);
    return body.state === 'finished' ? body : undefined;
  });

test('masks are inspected when they are uploaded, directly and through links', async () => {
  const { id } = await client.create('uploaded', { role: 'mask' });
  await api.upload(id, 'a.png', BLACK);
  await api.upload(id, 'b.png', GREY);
  expect((await put(await api.link(id, 'c.png', BLACK.length), BLACK)).status).toBe(200);
  expect(await warningsOf(id)).toEqual(['a.png BLACK_MASK', 'c.png BLACK_MASK']);
  expect(await client.status(id)).toMatchObject({ status: 'READY' });
});

test('images are inspected as masks as long as their dataset is one, also when they are restored', async () => {
  const { id } = await client.create('photos');
  await api.upload(id, 'a.png', BLACK);
  await api.upload(id, 'b.png', GREY);
  await client.removeFile(id, 'a.png');
  await api.upload(id, 'c.png', BLACK);
  expect(await warningsOf(id)).toEqual([]);
  expect((await setRole(id, 'mask')).status).toBe(200);
  await expect.poll(() => warningsOf(id)).toEqual(['c.png BLACK_MASK']);
  expect(await rechecked(id)).toMatchObject({ total: 2 });
  await client.history.restore(id, 1);
  await expect.poll(() => warningsOf(id)).toEqual(['a.png BLACK_MASK']);
  await setRole(id, 'training');
  await expect.poll(() => warningsOf(id)).toEqual([]);
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
  const none = { dataset_id: id, state: 'never', total: 0, checked: 0, problems: [] };
  expect((await recheck('GET')).body).toMatchObject(none);
  const { body: started } = await recheck('POST');
  expect(started).toMatchObject({ total: 3, started_at: expect.any(String) });
  const whole = { dataset_id: id, state: 'finished', total: 3, checked: 3, problems: [] };
  expect(await rechecked(id)).toEqual({ ...whole, started_at: started.started_at, finished_at: expect.any(String) });
  expect((await api.status(id)).body).toEqual(before);
});
