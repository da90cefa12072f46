import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireNewToken } from '../../../src/api/account-schemas.js';
import { BASE_PATH } from '../../../src/api/base-path.js';
import { Api } from '../../harness/api.js';
import { trainyard } from '../../harness/command.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

let server: TestServer;
let api: Api;
let mine: string;
let other: string;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
  [mine, other] = [await api.newDataset('mine'), await api.newDataset('other')];
  await api.upload(mine, 'a.txt', 'a caption');
});
afterAll(() => discardServer(server));

/** Creates a token as a person does; only the default combination has its catalog in the folder. */
async function tokenWith(...flags: string[]): Promise<Api> {
  const { code, stderr, stdout } = await trainyard(['token', 'create', '--data', server.dataFolder, ...flags]);
  expect(code, stderr).toBe(0);
  return new Api(server.url, stdout.trim());
}

/** Creates a token that ends soon. The end of a command may take as long on a busy machine. */
async function endingToken(rights: object): Promise<Api> {
  return new Api(server.url, (await api.json<WireNewToken>('POST', '/tokens', rights)).body.secret);
}

describe.skipIf(process.env.TRAINYARD_TEST_COMBINATION !== undefined)('a token', () => {
  test('that only reads lists, reads and archives, and changes nothing', async () => {
    const reader = await tokenWith('--read-only');
    expect((await reader.list()).body.datasets).toHaveLength(2);
    expect((await reader.status(mine)).status).toBe(200);
    for (const path of ['manifest', 'files', 'files/a.txt', 'download-link', 'zip', 'recheck']) {
      expect((await reader.raw('GET', `/${mine}/${path}`)).status, path).toBe(200);
    }
    for (const path of ['captions', 'archive']) {
      const body = JSON.stringify({ filenames: ['a.txt'] });
      const headers = { 'content-type': 'application/json' };
      expect((await reader.raw('POST', `/${mine}/${path}`, { body, headers })).status, path).toBe(200);
    }
    expect(await reader.upload(mine, 'b.txt', 'b')).toMatchObject({
      status: 403,
      body: { error_code: 403004, error_message: expect.stringContaining('only reads') },
    });
    expect(await api.filenames(mine)).toEqual(['a.txt']);
    expect((await reader.request('GET', '/account')).body).toMatchObject({
      account: 'default',
      token: { read_only: true },
    });
  });

  test('that is bound to a dataset knows no other one, and creates none', async () => {
    const bound = await tokenWith('--dataset', 'mine');
    expect((await bound.list()).body.datasets.map(({ id }) => id)).toEqual([mine]);
    expect((await bound.upload(mine, 'b.txt', 'b')).status).toBe(200);
    const unknown = await bound.status('0123');
    expect(unknown.status).toBe(404);
    const hidden = await bound.status(other);
    expect(hidden.status).toBe(404);
    expect(hidden.body.error_message).toBe(unknown.body.error_message!.replace('0123', other));
    expect((await bound.request('DELETE', `/${other}`)).status).toBe(404);
    expect((await bound.create('third')).status).toBe(403);
    // The name of a deleted dataset may be used again; the token is bound to the id.
    const temporary = await api.newDataset('temporary');
    const stale = await tokenWith('--dataset', 'temporary');
    await api.request('DELETE', `/${temporary}`);
    const again = await api.newDataset('temporary');
    expect((await stale.status(again)).status).toBe(404);
    expect((await stale.list()).body.datasets).toEqual([]);
    await api.request('DELETE', `/${again}`);
  });

  test('that expires ends its event streams, and so does a session that is revoked', async () => {
    const expiring = await endingToken({ expires_in: 10 });
    const page = { 'trainyard-page': '1' };
    const signedIn = await api.raw('POST', '/session', { headers: page });
    const [cookie = ''] = signedIn.headers.getSetCookie()[0]?.split(';') ?? [];
    const stream = await fetch(`${server.url}${BASE_PATH}/${mine}/events`, { headers: { ...page, cookie } });
    expect(stream.status).toBe(200);
    const ofSession = stream.text();
    const { id } = (await signedIn.json()) as { id: string };
    expect((await api.request('DELETE', `/tokens/${id}`)).status).toBe(200);
    const streams = await Promise.all(['/events', `/${mine}/events`].map((path) => expiring.raw('GET', path)));
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    const [, events] = await Promise.all(streams.map((stream) => stream.text()));
    expect(events).toContain('event: dataset');
    expect(await ofSession).toContain('event: dataset');
    expect((await expiring.list()).status).toBe(401);
  });

  test('that expires is refused then, with its links, and the list shows rights and last use', async () => {
    const expiring = await endingToken({ expires_in: 3, read_only: true, datasets: [mine] });
    const { body } = await expiring.request<{ query: string }>('GET', `/${mine}/download-link`);
    const link = `${server.url}/prod/v1/trainers/datasets/${mine}/files/a.txt?${body.query}`;
    expect((await fetch(link)).status).toBe(200);
    const list = async () =>
      (await trainyard(['token', 'list', '--json', '--data', server.dataFolder])).json().tokens as Record<
        string,
        unknown
      >[];
    const listed = (await list()).find(({ hint }) => expiring.token.startsWith(String(hint)));
    expect(listed).toMatchObject({ read_only: true, datasets: ['mine'], expires_at: expect.any(String) });
    let answer = await expiring.list();
    while (answer.status === 200) answer = await expiring.list();
    expect(answer).toMatchObject({ status: 401, body: { error_message: expect.stringContaining('expired at') } });
    expect((await fetch(link)).status).toBe(403);
  });

  test('is not made for a dataset that does not exist, or for a nonsensical time', async () => {
    const create = (...flags: string[]) => trainyard(['token', 'create', '--data', server.dataFolder, ...flags]);
    expect((await create('--dataset', 'nowhere')).stderr).toContain('has no dataset "nowhere"');
    for (const text of ['soon', '0d', '-1d', '5', '99999d']) {
      expect((await create(`--expires=${text}`)).code, text).toBe(64);
    }
  });
});
