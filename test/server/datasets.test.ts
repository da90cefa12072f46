import { describe, expect, test } from 'vitest';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api('datasets');

describe('create', () => {
  test.each([
    ['{}', '{}', 'application/json'],
    ['no body', undefined, undefined],
    ['an empty body of any type', '', 'application/x-www-form-urlencoded'],
    ['a null name', '{"name":null}', 'application/json; charset=utf-8'],
    ['no content type', Buffer.from('{}'), undefined],
  ])('generates a name for %s', async (_, body, type) => {
    const headers = type === undefined ? {} : { 'content-type': type };
    const answer = await api.request<{ name: string }>('POST', '', { body: body ?? null, headers });
    expect(answer.status).toBe(200);
    expect(answer.body.name).toMatch(/^ds_[0-9a-f]+$/);
  });

  test.each([
    ['   ', 'is empty'],
    ['.hidden', 'begins with a dot'],
    ['a/b', 'contains "/"'],
    ['é'.repeat(65), 'is 130 bytes long'],
  ])('rejects the name %j with 422', async (name, reason) => {
    const { status, body } = await api.create(name);
    expect(status).toBe(422);
    expect(body.error_code).toBe(422003);
    expect(body.error_message).toContain(reason);
  });

  test('rejects a taken name with 409, in any Unicode form, until the dataset is deleted', async () => {
    const { body } = await api.create('caf\u00e9');
    const again = await api.create('cafe\u0301');
    expect(again.status).toBe(409);
    expect(again.body.error_message).toContain('already exists');
    await api.request('DELETE', `/${body.id}`);
    expect((await api.create('café')).status).toBe(200);
  });

  test('of concurrent creates of one name, exactly one succeeds', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.create('raced')));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array(7).fill(409)]);
  });
});

describe('list', () => {
  test('filters by name and by status, across pages', async () => {
    const mine = await server.api('filterer');
    for (let i = 0; i < 6; i++) {
      const id = await mine.newDataset(`set ${i}`);
      if (i % 2 === 0) await mine.link(id, 'a.jpg', 10);
    }
    const named = await mine.list('?name=set%203');
    expect(named.body.datasets.map((dataset) => dataset.name)).toEqual(['set 3']);
    const uploading = await mine.list('?status=UPLOADING&limit=2');
    expect(uploading.body.datasets.map((dataset) => dataset.name)).toEqual(['set 4', 'set 2']);
    const rest = await mine.list(`?status=UPLOADING&limit=2&cursor=${uploading.body.next_cursor}`);
    expect(rest.body).toMatchObject({ datasets: [{ name: 'set 0' }], next_cursor: null });
  });
});

describe('delete', () => {
  test('succeeds once; afterwards every call answers 404', async () => {
    const id = await api.newDataset();
    const { status, body } = await api.request('DELETE', `/${id}`);
    expect([status, body]).toEqual([200, { id, deleted: true }]);
    const answers = [
      await api.status(id),
      await api.manifest(id),
      await api.upload(id, 'a.txt', 'x'),
      await api.links(id, { 'a.jpg': 1 }),
      await api.request('GET', `/${id}/files/a.txt`),
      await api.request('GET', `/${id}/events`),
      await api.request('DELETE', `/${id}/files/a.txt`),
      await api.request('DELETE', `/${id}`),
    ];
    for (const answer of answers) {
      expect([answer.status, answer.body]).toEqual([
        404,
        { error_code: 404001, error_message: `Dataset ${id} does not exist.` },
      ]);
    }
  });
});

describe('accounts', () => {
  test('a request without a token is told the scheme, which is not case-sensitive', async () => {
    const response = await fetch(`${server.url}/prod/v1/trainers/datasets`);
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const headers = { authorization: `bearer ${api.token}` };
    expect((await fetch(`${server.url}/prod/v1/trainers/datasets`, { headers })).status).toBe(200);
  });
});
