import { describe, expect, onTestFinished, test } from 'vitest';
import { BASE_PATH } from '../../../src/api/limits.js';
import { FailedLogins, RequestRate } from '../../../src/server/auth.js';
import { type Api, Api as Client, put } from '../../harness/api.js';
import { metricsOf } from '../../harness/metrics.js';
import { eventually, serverUntil, type TestServer } from '../../harness/server.js';

async function serverWith(settings: Record<string, string | number>): Promise<{ server: TestServer; api: Api }> {
  const server = await serverUntil(onTestFinished, { 'caption-grace-seconds': 0, ...settings });
  return { server, api: await server.api() };
}

describe('a limit', () => {
  test('of an account is 507 with the name of its setting, and leaves everything as it was', async () => {
    const { server, api } = await serverWith({ 'account-bytes': 20 });
    const id = await api.newDataset('only');
    expect((await api.upload(id, 'a.txt', '123456789')).status).toBe(200);
    const tooLarge = await api.upload(id, 'b.txt', '123456789012');
    expect(tooLarge).toMatchObject({ status: 507, body: { error_code: 507002 } });
    expect(tooLarge.body.error_message).toContain('--account-bytes');
    expect((await api.links(id, { 'b.txt': 12 })).status).toBe(507);
    const { uploads } = (await api.links(id, { 'b.txt': 4 })).body;
    expect((await put(uploads['b.txt']!.upload_url, '1234')).status).toBe(200);
    expect(await api.filenames(id)).toEqual(['a.txt', 'b.txt']);
    expect((await api.request('GET', '/account')).body).toMatchObject({
      usage: { datasets: 1, files: 2, bytes: 13, history_bytes: 0 },
      limits: { datasets: 100_000, files: 10_000_000, bytes: 20 },
    });
    // A replaced file is in the history, and leaves room for others. Pins stop while the history has more than the limit.
    const pin = async (number: number) => (await api.request('PUT', `/${id}/revisions/${number}/pin`)).body;
    for (const number of [1, 2, 3]) {
      if (number < 3) expect(await pin(number)).toMatchObject({ number });
      expect((await api.upload(id, 'a.txt', `${number}`.repeat(15))).status).toBe(200);
    }
    expect((await api.request('GET', '/account')).body).toMatchObject({ usage: { bytes: 19, history_bytes: 39 } });
    expect(await pin(3)).toMatchObject({ error_code: 507002 });
    const metrics = await metricsOf(server);
    expect(metrics).toContain('trainyard_limit{setting="account-bytes"} 20');
    expect(metrics).toMatch(/trainyard_error_responses_total\{error="quota_exceeded"\} [1-9]/);
    // Another account is not concerned.
    expect((await (await server.api('other')).create('mine')).status).toBe(200);
  });

  test('of requests is an error with Retry-After, and for a status a delay', async () => {
    const rate = new RequestRate(1);
    const admit = (account: string, isPoll = false) => rate.admit(account, { isPoll });
    for (let i = 0; i < 10; i++) await admit('one');
    const rejected = { code: 'too_many_requests', retryAfterSeconds: 1 };
    for (let i = 0; i < 5; i++) await expect(admit('one')).rejects.toMatchObject(rejected);
    const startedAt = performance.now();
    for (let i = 0; i < 520; i++) await admit('one', true);
    expect(performance.now() - startedAt).toBeGreaterThan(300);
    await admit('other');
  });

  test('of failed logins counts the addresses of an IPv6 network as one, and the requests that wait', async () => {
    const logins = new FailedLogins();
    const tooMany = expect.objectContaining({ code: 'too_many_requests' });
    const addresses = Array.from({ length: 300 }, (_, i) => `2001:db8::${i}`);
    expect(() => addresses.map((address) => logins.admitCode(address))).toThrow(tooMany);
    logins.admitCode('2001:db8:0:1::1');
    // 200 wait.
    await expect(Promise.all(addresses.map(() => logins.delay('192.0.2.1')))).rejects.toEqual(tooMany);
  });

  test('of failed logins delays wrong tokens and rejects codes that come too fast, and concerns no valid token', async () => {
    const { server, api } = await serverWith({ 'trusted-proxies': '127.0.0.1' });
    const wrong = new Client(server.url, 'ty_wrong');
    const failures = Array.from({ length: 100 }, () => wrong.list());
    let answered = 0;
    for (const failure of failures) void failure.then(() => answered++);
    await eventually(() => answered >= 50 || undefined);
    expect((await api.list()).status).toBe(200);
    // The other failures are still delayed while the valid token has its answer.
    expect(answered).toBeLessThan(100);
    for (const { status } of await Promise.all(failures)) expect(status).toBe(401);

    const { code } = (await api.request<{ code: string }>('POST', '/session/codes')).body;
    const signIn = (address: string, headers: Record<string, string>, body?: object) =>
      fetch(`${server.url}${BASE_PATH}/session`, {
        method: 'POST',
        headers: { 'trainyard-page': '1', 'content-type': 'application/json', 'x-forwarded-for': address, ...headers },
        body: JSON.stringify(body ?? null),
      });
    const guess = () => signIn('192.0.2.1', {}, { code: `tyc_${'x'.repeat(43)}` });
    const guesses = await Promise.all(Array.from({ length: 100 }, guess));
    expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([401, 429]));
    const rejected = guesses.find(({ status }) => status === 429)!;
    expect(rejected.headers.get('retry-after')).toBe('1');
    expect(await rejected.text()).toContain('Too many codes');
    expect((await signIn('192.0.2.1', { authorization: `Bearer ${api.token}` })).status).toBe(200);
    expect((await signIn('192.0.2.2', {}, { code })).status).toBe(200);
  });
});

const AT_LIMIT =
  /The dataset has 3 files, and .* the limit of 3 files of a dataset \(--max-dataset-files\)\. Delete files/;

const names = ['a.txt', 'b.txt', 'c.txt'];

const isFull = { status: 507, body: { error_code: 507002, error_message: expect.stringMatching(AT_LIMIT) } };

test('a dataset at its limit rejects another file, however it is sent, and stays as it was; new bytes of its names are taken', async () => {
  const { server, api } = await serverWith({ 'max-dataset-files': 3 });
  const id = await api.newDataset();
  for (const name of names) expect((await api.upload(id, name, name)).status).toBe(200);
  expect(await api.upload(id, 'd.txt', 'd')).toMatchObject(isFull);
  expect(await api.links(id, { 'd.txt': 1 })).toMatchObject(isFull);
  const empty = await api.newDataset();
  const batch = { 'a.txt': 1, 'b.txt': 1, 'c.txt': 1, 'd.txt': 1 };
  const { error_message: message } = (await api.links(empty, batch)).body;
  expect(message).toMatch(/has 0 files, and 4 more would exceed the limit of 3/);
  expect((await api.status(empty)).body.status).toBe('DRAFT');
  const captions = [{ filename: 'd.txt', text: 'd' }];
  expect(await api.json('PUT', `/${id}/captions`, { captions })).toMatchObject(isFull);
  const { files, awaited } = (await api.status(id)).body;
  expect([files.map(({ filename }) => filename), awaited]).toEqual([names, undefined]);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('trainyard_limit{setting="max-dataset-files"} 3');

  expect((await api.upload(id, 'a.txt', 'A')).status).toBe(200);
  const others = names.map((filename) => ({ filename, text: 'new' }));
  expect((await api.json('PUT', `/${id}/captions`, { captions: others })).status).toBe(200);
  const { uploads } = (await api.links(id, { 'a.txt': 1, 'b.txt': 1, 'c.txt': 1 })).body;
  // Three names, with two uploads each, are three files.
  expect((await api.request('DELETE', `/${id}/files/c.txt`)).status).toBe(200);
  expect((await api.upload(id, 'd.txt', 'd')).status).toBe(200);
  expect((await put(uploads['a.txt']!.upload_url, 'a')).status).toBe(200);
  expect(await api.upload(id, 'e.txt', 'e')).toMatchObject(isFull);
  const filenames = (await api.filenames(id)).sort();
  const { revision } = (await api.json<{ revision: number }>('DELETE', `/${id}/files`, { filenames })).body;
  for (const name of ['x.txt', 'y.txt', 'z.txt']) expect((await api.upload(id, name, name)).status).toBe(200);
  expect(await api.json('POST', `/${id}/revisions/${revision}/undo`, {})).toMatchObject({ status: 507 });
});
