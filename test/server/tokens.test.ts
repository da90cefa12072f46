import { describe, expect, test } from 'vitest';
import type { WireNewShare, WireNewToken, WireRevokedToken, WireToken } from '../../src/api/account-schemas.js';
import { BASE_PATH } from '../../src/api/limits.js';
import * as media from '../fixtures/media.js';
import { type Answer, Api } from '../harness/api.js';
import { trainyard } from '../harness/command.js';
import { environmentOf } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const id = await api.newDataset('wagons');
await api.upload(id, 'one.jpg', await media.jpeg({ width: 64, height: 64 }));
await api.upload(id, 'one.txt', 'a red wagon');

const make = (rights: object = {}, by = api): Promise<Answer<WireNewToken>> => by.json('POST', '/tokens', rights);
const share = (options: object = {}, by = api): Promise<Answer<WireNewShare>> =>
  by.json('POST', `/${id}/shares`, options);
const revoke = (token: string, query = '', by = api): Promise<Answer<WireRevokedToken>> =>
  by.request('DELETE', `/tokens/${token}${query}`);
const listed = async (by = api) => (await by.request<{ tokens: WireToken[] }>('GET', '/tokens')).body.tokens;
const withSecret = (secret: string) => new Api(server.url, secret);
const statusOf = async (by: Api, path = '') => (await by.raw('GET', path)).status;
const post = async (by: Api, path: string) => {
  const init = { body: '{"filenames":["one.txt"]}', headers: { 'content-type': 'application/json' } };
  return (await by.raw('POST', `/${id}${path}`, init)).status;
};

/** What a token and a share of the dataset may read. */
const READ_BY_ALL = ['status', 'manifest', 'files', 'files/one.txt', 'files/one.jpg/thumbnail', 'zip', 'download-link'];

describe('tokens', () => {
  test('are made, listed without their secrets, and revoked', async () => {
    const { status, body } = await make({ name: ' gpu 1 ', read_only: true, datasets: ['wagons'], expires_in: 3600 });
    expect(status).toBe(200);
    const { secret, ...made } = body;
    const seconds = (Date.parse(`${made.expires_at}Z`) - Date.parse(`${made.created_at}Z`)) / 1000;
    expect(Math.round(seconds)).toBe(3600);
    expect(made).toMatchObject({
      kind: 'token',
      name: 'gpu 1',
      hint: secret.slice(0, 7),
      read_only: true,
      datasets: [{ id, name: 'wagons' }],
      last_used_at: null,
      current: false,
    });
    expect(await statusOf(withSecret(secret), `/${id}/status`)).toBe(200);
    const tokens = await listed();
    expect(tokens).toContainEqual(made);
    expect(JSON.stringify(tokens)).not.toContain(secret);
    const [own] = tokens.filter(({ current }) => current);
    expect(own).toMatchObject({ id: made.made_by, hint: api.token.slice(0, 7), read_only: false, datasets: null });
    expect((await revoke(made.id)).body).toEqual({ id: made.id, revoked: [made.id], current: false });
    expect((await revoke(made.id)).status).toBe(200);
    expect(await statusOf(withSecret(secret), `/${id}/status`)).toBe(401);
    expect((await listed()).map((token) => token.id)).not.toContain(made.id);
  });

  test('end at a date or after a time of at most ten years, and are for datasets that exist', async () => {
    for (const [rights, status] of [
      [{ expires_at: '2035-07-22T13:05:16+02:00' }, 200],
      [{ expires_at: '2035-07-22T13:05:16.143086' }, 200],
      [{ expires_at: '2025-07-22T13:05:16' }, 422],
      [{ expires_at: '2035-07-22T13:05:16', expires_in: 60 }, 422],
      [{ expires_in: 0 }, 422],
      [{ expires_in: 3651 * 86_400 }, 422],
      [{ expires_at: '2099-07-22T13:05:16' }, 422],
      [{ datasets: [] }, 422],
      [{ datasets: ['nothing'] }, 404],
      [{ name: 'a/b' }, 422],
    ] as const) {
      expect((await make(rights)).status, JSON.stringify(rights)).toBe(status);
    }
    const made = await make({ expires_at: '2035-07-22T13:05:16' });
    expect(made.body.expires_at).toMatch(/^2035-07-22T13:05:16/);
  });

  test('that only read list, read and archive', async () => {
    const reader = withSecret((await make({ read_only: true })).body.secret);
    for (const path of ['', ...READ_BY_ALL.map((path) => `/${id}/${path}`), `/${id}/recheck`])
      expect([path, await statusOf(reader, path)]).toEqual([path, 200]);
    for (const path of ['/captions', '/archive']) expect(await post(reader, path)).toBe(200);
    const { body } = await reader.upload(id, 'b.txt', 'b');
    expect(body).toMatchObject({ error_code: 403004, error_message: expect.stringContaining('only reads') });
  });

  test('that are bound to a dataset know no other one, also not of its name after its deletion', async () => {
    const temporary = await api.newDataset('temporary');
    const bound = withSecret((await make({ datasets: ['temporary'] })).body.secret);
    expect((await bound.upload(temporary, 'b.txt', 'b')).status).toBe(200);
    const [unknown, hidden] = [await bound.status('0123'), await bound.status(id)];
    expect([hidden.status, hidden.body.error_message]).toEqual([404, unknown.body.error_message!.replace('0123', id)]);
    expect((await bound.create('third')).status).toBe(403);
    expect((await bound.request('GET', '/account')).body).not.toHaveProperty('usage');
    expect(await listed(bound)).toMatchObject([{ hint: bound.token.slice(0, 7), current: true }]);
    await api.request('DELETE', `/${temporary}`);
    const again = await api.newDataset('temporary');
    expect((await bound.status(again)).status).toBe(404);
    expect((await bound.list()).body.datasets).toEqual([]);
  });

  test('are made and listed by the command, for a dataset that exists and a sensible time', async () => {
    const env = await environmentOf(server.dataFolder);
    const [{ account }, name] = [(await api.request<{ account: string }>('GET', '/account')).body, 'wagons'];
    const run = (...args: string[]) => trainyard(['token', ...args, '--data', server.dataFolder], { env });
    const create = (...args: string[]) => run('create', '--account', account, ...args);
    const secret = (await create('--read-only', '--dataset', name, '--expires', '1h')).stdout.trim();
    expect((await withSecret(secret).list()).body.datasets.map((dataset) => dataset.id)).toEqual([id]);
    const all = (await run('list', '--json')).json().tokens as { hint: string }[];
    const made = all.find(({ hint }) => secret.startsWith(hint));
    expect(made).toMatchObject({ read_only: true, datasets: [name], expires_at: expect.any(String) });
    expect((await create('--dataset', 'nowhere')).stderr).toContain('has no dataset "nowhere"');
    expect((await create('--expires=99999d')).code).toBe(64);
  });

  test('do not outlive the one that made them, nor do links', async () => {
    const maker = (await make({ expires_in: 600 })).body;
    const by = withSecret(maker.secret);
    const links = ['download-link', 'tar-link'].map((path) => by.request<WireNewToken>('GET', `/${id}/${path}`));
    const tokens = [make({}, by), make({ expires_in: 6000 }, by), share({}, by)];
    for (const made of await Promise.all([...tokens, ...links])) {
      expect(made.body.expires_at).toBe(maker.expires_at);
    }
  });

  test('end their shares with them, and the tokens that they made only if that is wished', async () => {
    const maker = (await make()).body;
    const by = withSecret(maker.secret);
    const other = (await make({}, by)).body;
    const shared = (await share({}, by)).body;
    expect((await revoke(maker.id)).body.revoked.sort()).toEqual([maker.id, shared.id].sort());
    expect(await statusOf(withSecret(shared.secret), `/${id}/status`)).toBe(401);
    expect(await statusOf(withSecret(other.secret))).toBe(200);
    const third = (await make({}, withSecret(other.secret))).body;
    const answer = await revoke(maker.id, '?with_made=true');
    expect(answer.body.revoked.sort()).toEqual([maker.id, shared.id, other.id, third.id].sort());
    expect(await statusOf(withSecret(third.secret))).toBe(401);
    // A token may revoke itself, which the answer says.
    const { secret, id: own } = (await make()).body;
    expect((await revoke(own, '', withSecret(secret))).body).toEqual({ id: own, revoked: [own], current: true });
  });
});

describe('a share', () => {
  test('shows the current files of its dataset, and nothing else', async () => {
    const { body: made } = await share({ name: 'Ada' });
    expect(made).toMatchObject({ kind: 'share', name: 'Ada', read_only: true, datasets: [{ id, name: 'wagons' }] });
    expect(made.url).toBe(`${server.url}/shared/datasets/${id}#share=${made.secret}`);
    const days = (Date.parse(`${made.expires_at}Z`) - Date.parse(`${made.created_at}Z`)) / 86_400_000;
    expect(days).toBeCloseTo(7, 3);
    const visitor = withSecret(made.secret);
    expect((await visitor.list()).body.datasets.map((dataset) => dataset.id)).toEqual([id]);
    for (const path of READ_BY_ALL) expect([path, await statusOf(visitor, `/${id}/${path}`)]).toEqual([path, 200]);
    for (const path of ['/captions', '/archive']) expect(await post(visitor, path)).toBe(200);
    const hidden = [
      // The account has a name and limits, which are not shared.
      ...['/account', '/tokens', '/events'],
      ...['/revisions', '/revisions/1', '/recheck', '/shares', '/tar-link'].map((path) => `/${id}${path}`),
      ...['/files/one.txt?revision=1', '/manifest?revision=1', '/zip?revision=1'].map((path) => `/${id}${path}`),
    ];
    for (const path of hidden) expect([path, await statusOf(visitor, path)]).toEqual([path, 403]);
    expect((await visitor.upload(id, 'two.txt', 'x')).status).toBe(403);
  });

  test('makes links that read no earlier revision either, and end with it', async () => {
    const { body: made } = await share();
    const visitor = withSecret(made.secret);
    const read = async (by: Api, more = '') => {
      const { query } = (await by.request<{ query: string }>('GET', `/${id}/download-link`)).body;
      const url = `${server.url}${BASE_PATH}/${id}/files/one.txt?${query}${more}`;
      return [(await fetch(url)).status, (await fetch(url.replace(/&share=[^&]+/, ''))).status];
    };
    expect(await read(visitor)).toEqual([200, 403]);
    expect(await read(visitor, '&revision=1')).toEqual([403, 403]);
    expect(await read(api, '&revision=1')).toEqual([200, 200]);
    const { query } = (await visitor.request<{ query: string }>('GET', `/${id}/download-link`)).body;
    await revoke(made.id);
    expect((await fetch(`${server.url}${BASE_PATH}/${id}/zip?${query}`)).status).toBe(403);
  });

  test('is listed, revoked by its dataset, and gone with it', async () => {
    const dataset = await api.newDataset();
    const bound = withSecret((await make({ datasets: [dataset] })).body.secret);
    const path = `/${dataset}/shares`;
    const made = (await bound.json<WireNewShare>('POST', path, { expires_in: 60 })).body;
    const second = (await bound.json<WireNewShare>('POST', path, {})).body;
    const ids = async () =>
      (await bound.request<{ tokens: WireToken[] }>('GET', path)).body.tokens.map((each) => each.id);
    expect(await ids()).toEqual([made.id, second.id]);
    const elsewhere = await api.request('DELETE', `/${id}/shares/${made.id}`);
    expect(elsewhere.body.error_code).toBe(404006);
    const ended = await bound.request('DELETE', `${path}/${made.id}`);
    expect(ended.body).toEqual({ id: made.id, revoked: [made.id], current: false });
    expect(await ids()).toEqual([second.id]);
    expect(await statusOf(withSecret(made.secret), `/${dataset}/status`)).toBe(401);
    await api.raw('DELETE', `/${dataset}`);
    expect(await statusOf(withSecret(second.secret), `/${dataset}/status`)).toBe(404);
    const [orphan] = (await listed()).filter((token) => token.id === second.id);
    expect(orphan?.datasets).toEqual([{ id: dataset, name: null }]);
  });
});
