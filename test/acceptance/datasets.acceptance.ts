import { afterAll, describe, expect, test } from 'vitest';
import { call, callJson, create, freshName, links } from './service.js';
import { newDataset, recorded, remove, removeDatasets, statusOf, upload } from './service.js';

afterAll(removeDatasets);

/** UTC with microseconds and without a zone suffix. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;

describe('create', () => {
  test('answers with a DRAFT dataset', async () => {
    const name = freshName();
    const { status, body } = await create({ name });
    expect(status).toBe(200);
    expect(body).toMatchObject({ name, status: 'DRAFT' });
    expect(body.id).toMatch(/^[A-Za-z0-9._~-]+$/);
    expect(body.created_at).toMatch(TIME);
    expect(body.updated_at).toMatch(TIME);
    expect(body).not.toHaveProperty('error');
    expect(await statusOf(body.id)).toMatchObject({ id: body.id, name, status: 'DRAFT', files: [] });
  });

  test('generates a name for {} and for no body', async () => {
    const named = [await create({}), recorded(await call('POST', ''))];
    for (const { status, body } of named) {
      expect([status, body.name]).toEqual([200, expect.stringMatching(/^ds_./)]);
    }
    expect(named[0]!.body.name).not.toBe(named[1]!.body.name);
  });

  test.each([
    ['letters, digits, spaces and . _ -', freshName(' 1._-')],
    ['letters of any script', freshName(' Züge 猫 हिन्दी')],
    ['128 bytes', freshName().padEnd(128, 'x')],
  ])('takes a name with %s', async (_, name) => {
    const { status, body } = await create({ name });
    expect([status, body.name]).toEqual([200, name]);
  });

  test('trims white space around the name', async () => {
    const name = freshName();
    expect((await create({ name: `  ${name}\t` })).body.name).toBe(name);
  });

  test.each([
    ['an empty name', ''],
    ['a blank name', '   '],
    ['a leading dot', freshName().replace(/^/, '.')],
    ['a slash', freshName('/b')],
    ['a backslash', freshName('\\b')],
    ['a control character', freshName('\nb')],
    ['a quote', freshName('"b"')],
    ['129 bytes', freshName().padEnd(129, 'x')],
    ['130 bytes in 65 characters', 'é'.repeat(65)],
  ])('answers 422 to %s', async (_, name) => {
    expect((await create({ name })).status).toBe(422);
  });

  test('answers 409 to a name that is taken, and a deleted dataset frees its name', async () => {
    const name = freshName();
    const { body } = await create({ name });
    expect((await create({ name })).status).toBe(409);
    await remove(body.id);
    expect((await create({ name })).status).toBe(200);
  });

  test('answers 422 to malformed JSON and to a field of a wrong type, and 415 to a body that is not JSON', async () => {
    const json = { 'content-type': 'application/json' };
    expect((await call('POST', '', { body: '{"name":', headers: json })).status).toBe(422);
    const { status, body } = await callJson('POST', '', { name: 5 });
    expect([status, body.detail?.map(({ path }) => path)]).toEqual([422, ['name']]);
    const text = { 'content-type': 'text/plain' };
    expect((await call('POST', '', { body: 'name=a', headers: text })).status).toBe(415);
  });
});

describe('list', () => {
  test('returns every dataset of the account, newest first and without files', async () => {
    const ids = [await newDataset(), await newDataset(), await newDataset()];
    await upload(ids[0]!, 'a.txt', 'a caption');
    const { status, body } = await call('GET', '');
    expect(status).toBe(200);
    const created = body.datasets.filter(({ id }) => ids.includes(id));
    expect(created.map(({ id }) => id)).toEqual(ids.toReversed());
    for (const dataset of created) {
      expect(dataset).toMatchObject({ name: expect.any(String), status: expect.any(String) });
      expect(dataset.created_at).toMatch(TIME);
      expect(dataset).not.toHaveProperty('files');
    }
  });
});

describe('delete', () => {
  test('succeeds once; afterwards every call on the dataset is 404', async () => {
    const id = await newDataset();
    const { status, body } = await remove(id);
    expect([status, body]).toEqual([200, expect.objectContaining({ id, deleted: true })]);
    expect((await call('GET', `/${id}/status`)).status).toBe(404);
    expect((await upload(id, 'a.txt', 'a caption')).status).toBe(404);
    expect((await links(id, { 'a.txt': 5 })).status).toBe(404);
    expect((await call('DELETE', `/${id}`)).status).toBe(404);
    expect((await call('GET', '')).body.datasets.map((dataset) => dataset.id)).not.toContain(id);
  });

  test('an unknown dataset and an unknown route are 404', async () => {
    expect((await call('GET', '/no-such-dataset/status')).status).toBe(404);
    expect((await call('DELETE', '/no-such-dataset')).status).toBe(404);
    expect((await call('GET', `/${await newDataset()}/no-such-route`)).status).toBe(404);
  });
});
