import { describe, expect, test } from 'vitest';
import type { WireNewToken } from '../../src/api/account-schemas.js';
import { BASE_PATH } from '../../src/api/limits.js';
import { sessionCookieName } from '../../src/server/auth.js';
import { eventually, revokeToken } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();

const PAGE = { 'trainyard-page': '1' };

const send = (method: string, path: string, headers: Record<string, string>, body?: unknown) =>
  fetch(`${server.url}${BASE_PATH}${path}`, {
    method,
    headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });

const bodyOf = async (response: Response) =>
  (await response.json()) as { error_message: string; token: { id: string }; datasets: { name: string }[] };

/** Signs in as the page does. @returns the header with the cookie that a browser would send, and the answer */
async function signIn(token: string, headers: Record<string, string> = {}) {
  const response = await send('POST', '/session', { authorization: `Bearer ${token}`, ...PAGE, ...headers });
  expect(response.status).toBe(200);
  const [setCookie = ''] = response.headers.getSetCookie();
  expect(response.headers.get('cache-control')).toBe('no-store');
  const { id } = (await response.json()) as { id: string };
  return { id, setCookie, cookie: setCookie.split(';', 1)[0] ?? '' };
}

const newCode = () => api.request<{ code: string; token_id: string }>('POST', '/session/codes');

describe('a session', () => {
  test('is a cookie that scripts and other sites do not have, with the rights of its token', async () => {
    const { id, setCookie, cookie } = await signIn(api.token);
    expect(setCookie).toMatch(
      /^trainyard_[0-9a-f]{8}=tys_[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=2592000$/,
    );
    const created = await send('POST', '', { cookie, ...PAGE }, { name: 'by the page' });
    expect([created.status, created.headers.get('cache-control')]).toEqual([200, 'private, no-cache']);
    const own = (await api.request<{ token: { id: string }; session_id: null }>('GET', '/account')).body;
    const account = await bodyOf(await send('GET', '/account', { cookie, ...PAGE }));
    expect(account).toMatchObject({ token: { id: own.token.id, read_only: false }, session_id: id });
    expect(own.session_id).toBeNull();
    expect((await signIn(api.token, { origin: 'https://data.example' })).setCookie).toMatch(/; Secure$/);
    expect((await signIn(api.token, { origin: 'http://data.example' })).setCookie).not.toContain('Secure');

    const rights = { read_only: true, datasets: ['by the page'], expires_in: 3600 };
    const reader = await signIn((await api.json<WireNewToken>('POST', '/tokens', rights)).body.secret);
    expect(Number(/Max-Age=(\d+)/.exec(reader.setCookie)?.[1])).toBeLessThanOrEqual(3600);
    const headers = { cookie: reader.cookie, ...PAGE };
    const listed = await bodyOf(await send('GET', '', headers));
    expect(listed.datasets.map(({ name }) => name)).toEqual(['by the page']);
    expect((await send('POST', '', headers, {})).status).toBe(403);
    expect((await send('POST', '/session/codes', headers)).status).toBe(200);
  });

  test('works for the page only, so that no other site can use it', async () => {
    const { cookie } = await signIn(api.token);
    const name = 'made by another site';
    for (const headers of [
      // A form, an image, a link, or a script without permission to send more headers.
      { cookie },
      { cookie, origin: 'http://evil.example', 'content-type': 'text/plain' },
      { cookie, 'sec-fetch-site': 'none' },
      // A script of another port of this host, to which the browser sends the cookie too.
      { cookie, 'sec-fetch-site': 'same-site', ...PAGE },
      { cookie, 'sec-fetch-site': 'cross-site', ...PAGE },
    ]) {
      const statuses = [await send('POST', '', headers, { name }), await send('GET', '', headers)];
      expect([headers, ...statuses.map(({ status }) => status)]).toEqual([headers, 401, 401]);
    }
    expect((await api.list(`?name=${encodeURIComponent(name)}`)).body.datasets).toEqual([]);
    // A browser asks for permission before a script of another origin sends the header, and gets none.
    const asked = await send('OPTIONS', '', {
      origin: 'http://evil.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'trainyard-page',
    });
    const answered = await send('GET', '', { cookie, origin: 'http://evil.example', ...PAGE });
    for (const { headers } of [asked, answered]) {
      expect([...headers.keys()].filter((header) => header.startsWith('access-control'))).toEqual([]);
    }
    expect((await send('GET', '', { cookie, 'sec-fetch-site': 'same-origin', ...PAGE })).status).toBe(200);
  });

  test('is not started by another site, which could sign a browser in to an account of its own', async () => {
    const { headers: uncached, body } = await newCode();
    expect(uncached.get('cache-control')).toBe('no-store');
    for (const headers of [{}, { 'sec-fetch-site': 'cross-site', ...PAGE }, { authorization: `Bearer ${api.token}` }]) {
      const answer = await send('POST', '/session', headers, { code: body.code });
      expect([headers, answer.status, answer.headers.getSetCookie()]).toEqual([headers, 403, []]);
    }
  });

  test('and a token are not mixed up, nor are the sessions of two tabs', async () => {
    const [first, second] = [await signIn(api.token), await signIn(api.token)];
    const [name = '', secret = ''] = second.cookie.split('=');
    // Two services of one host get the cookies of both.
    expect(sessionCookieName(Buffer.from('a'))).not.toBe(sessionCookieName(Buffer.from('b')));
    expect((await send('GET', '', { authorization: `Bearer ${secret}` })).status).toBe(401);
    for (const [cookie, page, status] of [
      [`${name}=${api.token}`, '1', 401],
      [`other=1; trainyard_00000000=${secret}`, '1', 401],
      [`other=1; ${second.cookie}; last=2`, '1', 200],
      [second.cookie, first.id, 401],
      [second.cookie, second.id, 200],
    ] as const) {
      expect((await send('GET', '', { cookie, 'trainyard-page': page })).status).toBe(status);
    }
  });

  test('ends when it signs out, and when its token is revoked', async () => {
    const other = await server.api('other');
    const [left, open] = [await signIn(other.token), await signIn(other.token)];
    const out = await send('DELETE', '/session', { cookie: left.cookie, ...PAGE });
    expect(out.headers.getSetCookie()).toEqual([expect.stringMatching(/^trainyard_[0-9a-f]{8}=; .*Max-Age=0$/)]);
    const ended = await send('GET', '', { cookie: left.cookie, ...PAGE });
    const message = 'Your session was ended, or its token was revoked. Sign in again.';
    expect([ended.status, (await bodyOf(ended)).error_message]).toEqual([401, message]);
    expect((await send('GET', '', { cookie: open.cookie, ...PAGE })).status).toBe(200);
    await revokeToken(server, other.token);
    // Another process has revoked it: with Postgres, this one learns of it a moment later.
    await eventually(async () => (await send('GET', '', { cookie: open.cookie, ...PAGE })).status === 401 || undefined);
    const none = await bodyOf(await send('GET', '', PAGE));
    expect(none.error_message).toBe('You are not signed in, or your session has expired. Sign in again.');
  });
});

test('a code signs in once, of several browsers at the same moment, and is no token', async () => {
  const { code, token_id } = (await newCode()).body;
  expect((await send('GET', '', { authorization: `Bearer ${code}` })).status).toBe(401);
  const answers = await Promise.all([1, 2, 3, 4].map(() => send('POST', '/session', PAGE, { code })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
  const cookie = answers.flatMap(({ headers }) => headers.getSetCookie())[0]?.split(';', 1)[0] ?? '';
  const account = await bodyOf(await send('GET', '/account', { cookie, ...PAGE }));
  expect(account).toMatchObject({ token: { id: token_id } });
  const again = await send('POST', '/session', PAGE, { code });
  expect((await bodyOf(again)).error_message).toContain('The link was used already, or has expired');
});
