import { expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { sharedServer } from '../harness/shared-server.js';

/* What `test/acceptance` does not have. */

const server = await sharedServer();
const api = await server.api('datasets');

test('of concurrent creates of one name, in any Unicode form, exactly one succeeds', async () => {
  const answers = await Promise.all(
    ['caf\u00e9', 'cafe\u0301', 'caf\u00e9', 'cafe\u0301'].map((name) => api.create(name)),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
});

test('the list filters by name and by status, across pages', async () => {
  const mine = await server.api('filterer');
  for (let i = 0; i < 6; i++) {
    const id = await mine.newDataset(`set ${i}`);
    if (i % 2 === 0) await mine.link(id, 'a.jpg', 10);
  }
  const namesIn = async (query: string) => {
    const { datasets, next_cursor } = (await mine.list(query)).body;
    return { names: datasets.map(({ name }) => name), next_cursor };
  };
  expect((await namesIn('?name=set%203')).names).toEqual(['set 3']);
  const { names, next_cursor } = await namesIn('?status=UPLOADING&limit=2');
  expect(names).toEqual(['set 4', 'set 2']);
  const rest = await namesIn(`?status=UPLOADING&limit=2&cursor=${next_cursor}`);
  expect(rest).toEqual({ names: ['set 0'], next_cursor: null });
});

test('a request without a token is told the scheme, which is not case-sensitive', async () => {
  const response = await fetch(server.url + BASE_PATH);
  expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  const headers = { authorization: `bearer ${api.token}` };
  expect((await fetch(server.url + BASE_PATH, { headers })).status).toBe(200);
});
