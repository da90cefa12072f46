import { afterAll, describe, expect, test } from 'vitest';
import type { WireNewShare, WireNewToken } from '../../src/api/account-schemas.js';
import { BASE_PATH } from '../../src/api/limits.js';
import { type Answer, Api } from '../harness/api.js';
import { eventually, serverUntil } from '../harness/server.js';

/* Every operation of the OpenAPI document, with every kind of token that must not have its answer. */

interface Operation {
  readonly method: string;
  /** As in the document, below the base path: `/{id}/status`. */
  readonly path: string;
}

const NAMES = { filenames: ['a.txt'] };

/** A valid body of each operation that needs one, so that its answer depends on the token and on the ids alone. */
const BODIES: Readonly<Record<string, unknown>> = {
  'POST /tokens': {},
  'POST /webhooks': { url: 'http://127.0.0.1:9/' },
  'PATCH /webhooks/{webhook_id}': { enabled: false },
  'PATCH /{id}': { name: 'renamed' },
  'PUT /{id}/links': { mask: null },
  'PUT /{id}/groups/{group}': { repeats: 3 },
  'POST /{id}/shares': {},
  'POST /{id}/get-upload-endpoint': { filenameToByteSize: { 'b.txt': 5 } },
  'POST /{id}/archive': NAMES,
  'POST /{id}/zip': NAMES,
  'POST /{id}/captions': NAMES,
  'POST /{id}/duplicates': { filenames: ['a.txt', 'b.txt'], different: true },
  'PUT /caption-presets/{preset}': { prompt: 'mine' },
  'POST /{id}/caption-plan': {},
  'POST /{id}/caption-runs': {},
  'POST /{id}/caption-proposals': {},
  'PUT /{id}/captions': { captions: [{ filename: 'a.txt', text: 'changed' }] },
  'DELETE /{id}/files': NAMES,
  'DELETE /{id}/uploads': NAMES,
  'PUT /{id}/revisions/{number}/pin': { note: 'mine' },
};

/** The query of an operation that needs one. */
const QUERIES: Readonly<Record<string, string>> = { 'GET /{id}/revisions/diff': '?from=1&to=1' };

const server = await serverUntil(afterAll, {
  'trusted-proxies': '127.0.0.1',
  'caption-grace-seconds': 0,
  'webhook-allow': '127.0.0.1',
});
const owner = await server.api('ada');
const other = await server.api('eve');

const make = async (rights: object): Promise<Answer<WireNewToken>> => owner.json('POST', '/tokens', rights);
const withSecret = (secret: string) => new Api(server.url, secret);
const secretOf = async (rights: object) => (await make(rights)).body.secret;
const share = async (dataset: string): Promise<WireNewShare> =>
  (await owner.json<WireNewShare>('POST', `/${dataset}/shares`, {})).body;

const mine = await owner.newDataset('mine');
const elsewhere = await owner.newDataset('elsewhere');
await owner.upload(mine, 'a.txt', 'a caption');
await owner.json('PUT', `/${mine}/groups/cat`, { repeats: 2, add: ['a.txt'] });
const reader = withSecret(await secretOf({ read_only: true }));
const boundElsewhere = withSecret(await secretOf({ datasets: [elsewhere] }));
const readerElsewhere = withSecret(await secretOf({ read_only: true, datasets: [elsewhere] }));
const visitorElsewhere = withSecret((await share(elsewhere)).secret);
const { id: endedId, secret: revoked } = (await make({})).body;
await owner.request('DELETE', `/tokens/${endedId}`);
const expiring = await secretOf({ expires_in: 1 });
const ids: Readonly<Record<string, string>> = {
  id: mine,
  filename: 'a.txt',
  number: '1',
  token_id: (await make({})).body.id,
  share_id: (await share(mine)).id,
  webhook_id: (await owner.json<{ id: string }>('POST', '/webhooks', { url: 'http://127.0.0.1:9/' })).body.id,
  delivery_id: '0123456789abcdef0123456789abcdef',
  group: 'cat',
  run_id: '0123456789abcdef0123456789abcdef',
  endpoint: 'none',
  preset: 'none',
};
const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: Record<string, object> };
const operations: Operation[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  path.startsWith(BASE_PATH)
    ? Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: path.slice(BASE_PATH.length) }))
    : [],
);

/** What no denied request may change. */
async function stateOf() {
  const paths = ['', '/tokens', '/webhooks', `/${ids.id}/status`, `/${ids.id}/revisions`, `/${ids.id}/shares`];
  const answers = await Promise.all(paths.map((path) => owner.request<object>('GET', path)));
  return JSON.parse(JSON.stringify(answers.map(({ body }) => body)), (name, value) =>
    name === 'last_used_at' ? null : value,
  );
}

const before = await stateOf();

const nameOf = ({ method, path }: Operation) => `${method} ${path}`;

/** A connection is kept if the body of its request had arrived when it was answered. */
const VARYING_HEADERS = ['date', 'content-length', 'connection', 'keep-alive'];

let asked = 0;

/** The answer without what differs between any two answers. */
async function ask(
  { method, path }: Operation,
  {
    token,
    headers,
    params = ids,
    query = QUERIES[`${method} ${path}`.replace('HEAD', 'GET')] ?? '',
  }: { token?: string; headers?: Record<string, string>; params?: object; query?: string },
) {
  const values = params as Record<string, string>;
  const url = `${server.url}${BASE_PATH}${path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '')}${query}`;
  const sent = new Headers(headers);
  // Wrong tokens from one address are answered late.
  sent.set('x-forwarded-for', `192.0.2.${++asked % 250}`);
  if (token !== undefined) sent.set('authorization', `Bearer ${token}`);
  const body = bodyOf(`${method} ${path}`);
  if (typeof body === 'string') sent.set('content-type', 'application/json');
  const leaving = new AbortController();
  const response = await fetch(url, {
    method,
    headers: sent,
    signal: leaving.signal,
    ...(body !== undefined && { body }),
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const text = isStream ? '' : await response.text();
  leaving.abort();
  const kept = [...response.headers].filter(([name]) => !VARYING_HEADERS.includes(name));
  return { status: response.status, headers: kept.sort(), text };
}

function bodyOf(name: string): string | FormData | undefined {
  if (name === 'POST /{id}/upload') {
    const form = new FormData();
    form.append('file', new Blob(['x']), 'c.txt');
    return form;
  }
  return BODIES[name] === undefined ? undefined : JSON.stringify(BODIES[name]);
}

const hasDataset = ({ path }: Operation) => path.startsWith('/{id}');

/** A code, which is missing here, signs in. */
const TAKES_CODE = 'POST /session';
/** A token that only reads signs in too, to a session that only reads. */
const MAKES_CODE = 'POST /session/codes';
const READING_POSTS = [
  ...['POST /{id}/archive', 'POST /{id}/zip', 'POST /{id}/captions', 'POST /{id}/caption-plan'],
  MAKES_CODE,
];
const isRead = (operation: Operation) => operation.method === 'GET' || READING_POSTS.includes(nameOf(operation));

const TAKE_LINKS = ['files/{filename}', 'files/{filename}/thumbnail', 'zip', 'captions', 'tar', 'sha256sums'].map(
  (path) => `GET /{id}/${path}`,
);

/** The operations, of some of all, that don't have one of these statuses. */
async function exceptions(
  some: readonly Operation[],
  request: Parameters<typeof ask>[1],
  ...expected: readonly number[]
): Promise<string[]> {
  const answers = await Promise.all(some.map((operation) => ask(operation, request)));
  return answers.flatMap(({ status }, i) => (expected.includes(status) ? [] : [`${nameOf(some[i]!)} is ${status}`]));
}

describe('every operation', () => {
  test('is refused without a valid token in its place', async () => {
    await eventually(async () => ((await withSecret(expiring).list()).status === 401 ? true : undefined));
    const some = operations.filter((operation) => nameOf(operation) !== TAKES_CODE);
    for (const request of [
      {},
      { token: `${owner.token}x` },
      { token: ids.token_id! },
      { token: revoked },
      { token: expiring },
      { headers: { authorization: `Basic ${btoa(`a:${owner.token}`)}` } },
      { query: `?token=${owner.token}&access_token=${owner.token}` },
      { headers: { cookie: `token=${owner.token}`, 'trainyard-page': '1' } },
    ]) {
      expect([request, await exceptions(some, request, 401)]).toEqual([request, []]);
    }
  });

  test('is refused with a link that is not signed', async () => {
    const query = `?account=${'0'.repeat(32)}&expires=9999999999999999&digest=0&token=0&signature=AAAA`;
    for (const operation of operations) {
      const takesLink = TAKE_LINKS.includes(nameOf(operation)) || nameOf(operation) === TAKES_CODE;
      expect(await exceptions([operation], { query }, takesLink ? 403 : 401)).toEqual([]);
    }
  });

  test('of another account answers as that of an unknown one, in every byte, also to HEAD', async () => {
    const unknown = Object.fromEntries(
      Object.entries(ids).map(([name, value]) => [name, name.endsWith('id') ? value.replace(/[0-9a-f]/g, '0') : value]),
    );
    const some = operations
      // Each account has its own prompts.
      .filter((one) => one.path.includes('{') && nameOf(one) !== 'PUT /caption-presets/{preset}')
      .flatMap((one) => (one.method === 'GET' ? [one, { ...one, method: 'HEAD' }] : [one]));
    for (const operation of some) {
      const theirs = await ask(operation, { token: other.token });
      const nothing = await ask(operation, { token: other.token, params: unknown });
      const text = Object.entries(ids).reduce(
        (rest, [name, value]) => (name.endsWith('id') ? rest.replaceAll(value, unknown[name]!) : rest),
        theirs.text,
      );
      expect([nameOf(operation), { ...theirs, text }]).toEqual([nameOf(operation), { ...nothing, status: 404 }]);
    }
  });

  test('that changes something is refused to a token that only reads', async () => {
    const changes = operations.filter((operation) => !isRead(operation));
    expect(await exceptions(changes, { token: reader.token }, 403)).toEqual([]);
  });

  test('of another dataset is refused to tokens and shares of one', async () => {
    const some = operations.filter(hasDataset);
    expect(await exceptions(some, { token: boundElsewhere.token }, 404)).toEqual([]);
    const [reads, changes] = [some.filter(isRead), some.filter((operation) => !isRead(operation))];
    expect(await exceptions(reads, { token: readerElsewhere.token }, 404)).toEqual([]);
    expect(await exceptions(changes, { token: readerElsewhere.token }, 403)).toEqual([]);
    // A share may not even know what it can't use.
    expect(await exceptions(some, { token: visitorElsewhere.token }, 403, 404)).toEqual([]);
  });

  test('of the account is refused to tokens and shares of one dataset, unless it only reads what they may read', async () => {
    const captioning = ['GET /caption-endpoints', 'GET /caption-presets'];
    const of = ['GET ', 'GET /account', 'GET /events', 'GET /tokens', ...captioning, MAKES_CODE];
    const rest = operations.filter((one) => !hasDataset(one) && !of.includes(nameOf(one)));
    for (const { token } of [boundElsewhere, readerElsewhere])
      expect(await exceptions(rest, { token }, 403)).toEqual([]);
    const all = operations.filter((one) => !hasDataset(one) && nameOf(one) !== 'GET ');
    expect(await exceptions(all, { token: visitorElsewhere.token }, 403)).toEqual([]);
  });

  test('by an unknown method is a route that does not exist, with and without a token', async () => {
    const paths = [...new Set(operations.map(({ path }) => path))];
    for (const method of ['OPTIONS', 'PROPFIND']) {
      const some = paths.map((path) => ({ method, path }));
      for (const request of [{}, { token: owner.token }]) expect(await exceptions(some, request, 404)).toEqual([]);
    }
  });

  test('that was denied has changed nothing', async () => {
    expect(await stateOf()).toEqual(before);
  });
});
