import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireRecheck } from '../../src/api/schemas.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

const recheck = (method: 'GET' | 'POST', id: string, as = api) => as.request<WireRecheck>(method, `/${id}/recheck`);

describe('a recheck', () => {
  test('is started, reports its progress, and finds nothing in intact files', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'a.jpg', await media.jpeg());
    await api.upload(id, 'a.mp4', media.clip('faststart.mp4'));
    await api.upload(id, 'a.txt', 'a dog');
    const before = (await api.status(id)).body;
    expect(await recheck('GET', id)).toMatchObject({
      status: 200,
      body: { dataset_id: id, state: 'never', total: 0, checked: 0, problems: [] },
    });
    const started = await recheck('POST', id);
    expect(started).toMatchObject({ status: 200, body: { total: 3, started_at: expect.any(String) } });
    const finished = await eventually(async () => {
      const { body } = await recheck('GET', id);
      return body.state === 'finished' ? body : undefined;
    });
    const { started_at } = started.body;
    expect(finished).toEqual({
      ...{ dataset_id: id, state: 'finished', total: 3, checked: 3, problems: [] },
      ...{ started_at, finished_at: expect.any(String) },
    });
    expect((await api.status(id)).body).toEqual(before);
  });

  test('of an empty dataset ends at once', async () => {
    const id = await api.newDataset();
    await recheck('POST', id);
    await eventually(async () => (await recheck('GET', id)).body.state === 'finished' || undefined);
  });

  test('of an unknown dataset or that of another account is 404', async () => {
    const stranger = await server.api('stranger');
    const id = await api.newDataset();
    for (const method of ['GET', 'POST'] as const) {
      expect((await recheck(method, 'nothing')).body.error_code).toBe(404001);
      expect((await recheck(method, id, stranger)).body.error_code).toBe(404001);
    }
    expect((await recheck('GET', id)).body.state).toBe('never');
  });
});
