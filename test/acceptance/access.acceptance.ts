import { afterAll, describe, expect, test } from 'vitest';
import { type Answer, call, create, freshName, newDataset, OTHER_TOKEN, removeDatasets, statusOf } from './service.js';

afterAll(removeDatasets);

const ROUTES = [
  ['POST', ''],
  ['GET', ''],
  ['GET', '/ID/status'],
  ['POST', '/ID/upload'],
  ['POST', '/ID/get-upload-endpoint'],
  ['DELETE', '/ID'],
] as const;

/** Sends a valid body, so that the answer depends only on the token and the dataset. */
function request([method, path]: readonly [string, string], id: string, authorization: string | null): Promise<Answer> {
  const form = new FormData();
  form.append('file', new Blob(['a dog']), 'a.txt');
  const json = { body: '{"filenameToByteSize":{"a.txt":5}}', headers: { 'content-type': 'application/json' } };
  const content = path.endsWith('/upload') ? { body: form } : path.endsWith('endpoint') ? json : {};
  return call(method, path.replace('ID', id), { ...content, authorization });
}

test.each([
  ['no token', null],
  ['another scheme', 'Basic YTpi'],
  ['an empty token', 'Bearer '],
  ['an unknown token', 'Bearer no-such-token'],
])('with %s each route is 401', async (_, authorization) => {
  const id = await newDataset();
  for (const route of ROUTES) {
    expect([route, (await request(route, id, authorization)).status]).toEqual([route, 401]);
  }
  expect(await statusOf(id)).toMatchObject({ status: 'DRAFT', files: [] });
});

if (OTHER_TOKEN !== '') {
  describe('another account', () => {
    const authorization = `Bearer ${OTHER_TOKEN}`;

    test('gets the answer to an unknown id', async () => {
      const id = await newDataset();
      const unknown = id.replaceAll(/[0-9a-z]/g, 'f');
      for (const route of ROUTES.filter(([, path]) => path !== '')) {
        const theirs = await request(route, id, authorization);
        const nonexistent = await request(route, unknown, authorization);
        expect([route, theirs.status]).toEqual([route, 404]);
        expect(JSON.stringify(theirs.body).replaceAll(id, unknown)).toBe(JSON.stringify(nonexistent.body));
      }
      expect((await statusOf(id)).status).toBe('DRAFT');
    });

    test('does not list the dataset, and may use its name', async () => {
      const name = freshName();
      const { body } = await create({ name });
      const listed = await call('GET', '', { authorization });
      expect(listed.body.datasets.map(({ id }) => id)).not.toContain(body.id);
      const same = await call('POST', '', {
        body: JSON.stringify({ name }),
        headers: { 'content-type': 'application/json' },
        authorization,
      });
      expect([same.status, same.body.name]).toEqual([200, name]);
      expect((await call('DELETE', `/${same.body.id}`, { authorization })).status).toBe(200);
    });
  });
}
