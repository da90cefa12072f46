import { afterAll, beforeAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { ROUTES } from '../../src/api/routes.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { type DialectServer, startDialectServer } from '../harness/dialect-server.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import { ApiDocument, type Operation } from './document.js';

let server: TestServer;
let api: Api;
let document: ApiDocument;
let model: DialectServer;
beforeAll(async () => {
  model = await startDialectServer('vllm');
  server = await startServer({ 'webhook-allow': '127.0.0.1', 'caption-endpoint': `local=${model.setting}` });
  api = await server.api();
  document = await ApiDocument.of(server.url);
});
afterAll(async () => {
  await discardServer(server);
  await model.close();
});

test('has every route of the contract', () => {
  const routes = Object.values(ROUTES).map(({ at, ...row }) => {
    const [method, path = ''] = at.split(' ');
    const isBelowBase = !('access' in row && row.access === 'anyone') && !('link' in row && row.link === 'upload');
    return `${method} ${isBelowBase ? BASE_PATH : ''}${path.replaceAll(/:(\w+)/g, '{$1}')}`;
  });
  expect(document.operations.map(({ name }) => name).sort()).toEqual(routes.sort());
});

/** A request; `path` replaces parts of the operation's own path. */
interface Request {
  readonly parts?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: NonNullable<RequestInit['body']>;
  readonly withToken?: boolean;
}

/** A dataset with a picture and its caption, and a link for another file. */
async function newDataset() {
  const id = await api.newDataset();
  await api.upload(id, 'a.jpg', await media.jpeg({ width: 40, height: 40 }));
  await api.upload(id, 'a.txt', 'a red wagon');
  const link = new URL(await api.link(id, 'b.txt', 5));
  return { id, link, linkId: link.pathname.split('/').at(-1) ?? '' };
}
type Dataset = Awaited<ReturnType<typeof newDataset>>;

/** A webhook with a delivery, as the parts of a path; its receiver refuses connections. */
async function newWebhook() {
  const id = await made('/webhooks', { url: 'http://127.0.0.1:9/' });
  return { webhook_id: id, delivery_id: await made(`/webhooks/${id}/test`) };
}

const json = (value: unknown): Request => ({
  body: JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
});

function form(filename: string, content: string): Request {
  const body = new FormData();
  body.append('file', new Blob([content]), filename);
  return { body };
}

/** The requests of an operation that succeed. A request that is not here has no body and the parts of the dataset. */
const VALID: Record<string, (dataset: Dataset) => Request | Promise<Request>> = {
  'POST /tokens': () => json({ name: 'gpu', read_only: true, expires_in: 60 }),
  'DELETE /tokens/{token_id}': async () => ({ parts: { token_id: await made('/tokens') } }),
  'POST /{id}/shares': () => json({ expires_in: 60 }),
  'DELETE /{id}/shares/{share_id}': async ({ id }) => ({ parts: { share_id: await made(`/${id}/shares`) } }),
  'POST /{id}/upload': () => form('c.txt', 'a caption'),
  'POST /{id}/get-upload-endpoint': () => json({ filenameToByteSize: { 'c.txt': 5 } }),
  'PUT /{id}/groups/{group}': () => json({ repeats: 3, add: ['a.jpg'] }),
  'DELETE /{id}/groups/{group}': async ({ id }) => {
    await api.json('PUT', `/${id}/groups/cat`, { add: ['a.jpg'] });
    return {};
  },
  'POST /{id}/archive': () => json({ filenames: ['a.jpg', 'a.txt'] }),
  'POST /{id}/zip': () => json({ filenames: ['a.jpg'] }),
  'POST /{id}/captions': () => json({ filenames: ['a.txt'] }),
  'PUT /{id}/captions': () => json({ captions: [{ filename: 'a.txt', text: 'a blue wagon' }] }),
  'POST /{id}/duplicates': () => json({ filenames: ['a.jpg', 'a.txt'], different: true }),
  'DELETE /{id}/files': () => json({ filenames: ['a.txt'] }),
  'DELETE /{id}/uploads': () => json({ filenames: ['b.txt'] }),
  'DELETE /{id}/uploads/{filename}': () => ({ parts: { filename: 'b.txt' } }),
  'GET /{id}/revisions/diff': () => ({ query: '?from=0&to=1' }),
  'GET /{id}/tar-link': () => ({ query: '?revision=1' }),
  'GET /{id}/tar': () => ({ query: '?revision=1' }),
  'GET /{id}/sha256sums': () => ({ query: '?revision=1' }),
  'PUT /{id}/revisions/{number}/pin': () => json({ note: 'trained on this' }),
  'PATCH /{id}': () => json({ role: 'control' }),
  'PUT /{id}/links': async () => json({ control_1: await newControl() }),
  'POST /caption-endpoints/{endpoint}/test': () => ({ parts: { endpoint: 'local' } }),
  'PUT /caption-presets/{preset}': () => ({ ...json({ prompt: 'Describe {name}.' }), parts: { preset: 'mine' } }),
  'DELETE /caption-presets/{preset}': async () => {
    await api.json('PUT', '/caption-presets/mine', { prompt: 'x' });
    return { parts: { preset: 'mine' } };
  },
  'POST /{id}/caption-plan': () => json({}),
  'POST /{id}/caption-runs': () => json({ files: 'all' }),
  'GET /{id}/caption-runs/{run_id}': newRun,
  'POST /{id}/caption-runs/{run_id}/stop': newRun,
  'POST /{id}/caption-runs/{run_id}/resume': newRun,
  'POST /{id}/caption-proposals': () => json({ dismiss: ['none'] }),
  'POST /webhooks': () => json({ url: 'http://127.0.0.1:9/' }),
  'PATCH /webhooks/{webhook_id}': () => json({ events: ['dataset.ready'], enabled: false }),
  'PUT /uploads/{id}': ({ link, linkId }) => ({ parts: { id: linkId }, query: link.search, body: 'hello' }),
  'POST /session': () => ({ headers: { 'trainyard-page': '1' } }),
  'DELETE /session': async () => {
    const { headers } = await api.raw('POST', '/session', { headers: { 'trainyard-page': '1' } });
    const [cookie = ''] = headers.getSetCookie();
    return { withToken: false, headers: { 'trainyard-page': '1', cookie: cookie.split(';', 1)[0] ?? '' } };
  },
};

/** A run of captions, as the parts of a path. */
async function newRun({ id }: Dataset): Promise<Request> {
  const { body } = await api.json<{ run: { id: string } }>('POST', `/${id}/caption-runs`, { files: 'all' });
  return { parts: { run_id: body.run.id } };
}

/** Makes a token, a share and so on, and returns its id. */
async function made(path: string, body: object = {}): Promise<string> {
  return (await api.json<{ id: string }>('POST', path, body)).body.id;
}

/** Makes an empty control dataset. */
const newControl = () => made('', { role: 'control' });

/** Conflicts, ranges and conditions, whose answers no random request is sure to provoke. */
const SPECIAL: Record<string, (dataset: Dataset) => Request[] | Promise<Request[]>> = {
  'POST ': async ({ id }) => [json({ name: (await api.status(id)).body.name })],
  'DELETE /{id}': async ({ id }) => {
    const control = await newControl();
    await api.json('PUT', `/${id}/links`, { control_1: control });
    return [{ parts: { id: control } }];
  },
  'GET /{id}/files/{filename}': () => RANGES,
  'GET /{id}/zip': () => RANGES,
  'GET /{id}/tar': () => [{}, ...RANGES.map((range) => ({ ...range, query: '?revision=1' }))],
  'DELETE /{id}/files/{filename}': () => [{ headers: { 'if-match': '"other"' } }],
  'POST /{id}/upload': () => [form('c.jpg', 'not a picture'), form('c.exe', 'x')],
  'PUT /uploads/{id}': ({ link, linkId }) =>
    ['too long', 'cut', 'hello', 'hello'].map((body) => ({ parts: { id: linkId }, query: link.search, body })),
};

const RANGES: Request[] = [
  { headers: { range: 'bytes=0-9' } },
  { headers: { range: 'bytes=99999999-' } },
  { headers: { 'if-none-match': '*' } },
];

test('every operation succeeds as declared, and rejects as declared', async () => {
  const faults: string[] = [];
  for (const operation of document.operations) {
    const webhook = operation.path.includes('{webhook_id}') ? await newWebhook() : {};
    const dataset = { ...(await newDataset()), webhook };
    const name = shortOf(operation.name);
    const valid = (await VALID[name]?.(dataset)) ?? {};
    const special = (await SPECIAL[name]?.(dataset)) ?? [];
    const invalid = operation.acceptsToken
      ? [
          { ...valid, withToken: false },
          { ...valid, parts: NONE },
        ]
      : [];
    const badJson =
      operation.body?.contentType === 'application/json' ? [{ ...json(0), parts: valid.parts ?? {} }] : [];
    const statuses: number[] = [];
    // The valid one may remove the dataset.
    for (const request of [...invalid, ...badJson, ...special, valid]) {
      const answer = await send(operation, dataset, request);
      const fault = document.faultOf(operation, answer);
      if (fault !== undefined) faults.push(`${operation.name}: ${fault}: ${answer.body}`);
      statuses.push(answer.status);
    }
    if (!statuses.some((status) => status < 300)) faults.push(`${operation.name}: only ${statuses.join(', ')}`);
  }
  expect(faults).toEqual([]);
});

const NONE = { id: 'none', webhook_id: 'none', filename: 'none.txt', number: '99' };

/** The name without the base path. */
function shortOf(name: string): string {
  return name.replace(BASE_PATH, '');
}

async function send(
  { path, method, acceptsToken }: Operation,
  { id, webhook }: Dataset & { webhook: object },
  request: Request,
) {
  const parts = { id, filename: 'a.jpg', number: '1', group: 'cat', ...webhook, ...request.parts } as Record<
    string,
    string
  >;
  const disconnect = new AbortController();
  const target = path.replaceAll(/\{(\w+)\}/g, (_, name) => parts[name] ?? '');
  const token = acceptsToken && request.withToken !== false && { authorization: `Bearer ${api.token}` };
  const response = await fetch(`${server.url}${target}${request.query ?? ''}`, {
    method,
    headers: { ...token, ...request.headers },
    ...(request.body !== undefined && { body: request.body, duplex: 'half' as never }),
    signal: disconnect.signal,
  });
  const headers = Object.fromEntries(response.headers);
  const isStream = headers['content-type']?.startsWith('text/event-stream');
  const body = isStream ? Buffer.alloc(0) : Buffer.from(await response.arrayBuffer());
  if (isStream) disconnect.abort();
  return { status: response.status, headers, body };
}
