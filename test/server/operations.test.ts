import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { openCatalog } from '../../src/storage/catalog/open-catalog.js';
import { metricsOf } from '../harness/metrics.js';
import { environmentOf } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();

const get = (path: string) => fetch(`${server.url}${path}`);

test('/docs, /healthz and /readyz answer without a token, and /metrics counts requests by route, uploads by outcome', async () => {
  expect(await (await get('/docs')).text()).toContain('/openapi.json');
  type Operations = Record<string, { operationId: string; security: object[] }>;
  const { paths } = (await (await get('/openapi.json')).json()) as { paths: Record<string, Operations> };
  const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  expect(ids).toEqual([...new Set(ids)]);
  expect(paths).toMatchObject({ '/healthz': { get: { security: [] } }, '/uploads/{id}': { put: { security: [{}] } } });
  expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' });
  expect(await (await get('/readyz')).json()).toMatchObject({ status: 'ready' });
  const api = await server.api();
  const id = await api.newDataset();
  await api.upload(id, 'a.txt', 'hello');
  await api.upload(id, 'a.png', 'hello');
  // The server mounts nothing, so that this job waits.
  const { DATABASE_URL: databaseUrl } = await environmentOf(server.dataFolder);
  const { jobs, now, close } = await openCatalog({ ...server, databaseUrl, blobGrace: 0 });
  await jobs.ensure([{ kind: 'mount', key: '', accountId: '', dueAt: now() - 90_000_000 }]).finally(close);
  const metrics = await metricsOf(server);
  expect(metrics).toMatch(/trainyard_http_request_duration_seconds_count\{[^}]*route="\/prod[^"]*:id\/upload"/);
  expect(metrics).toMatch(/trainyard_uploads_total\{via="direct",outcome="stored"\} [1-9]/);
  expect(metrics).toMatch(/trainyard_uploads_total\{via="direct",outcome="refused"\} [1-9]/);
  expect(metrics).toMatch(/trainyard_uploaded_bytes_total [1-9]/);
  expect(metrics).toMatch(/trainyard_connections [1-9]/);
  for (const limit of ['inspection-processes', 'max-connections'])
    expect(metrics).toMatch(new RegExp(`trainyard_limit\\{setting="${limit}"\\} [1-9]`));
  expect(metrics).toMatch(/trainyard_jobs\{kind="deliver",state="waiting"\} \d/);
  for (const kind of ['mount', 'clean-up', 'clean-store', 'empty-trash', 'prune-history', 'prune-tokens'])
    expect(metrics).toMatch(new RegExp(`trainyard_jobs\\{kind="${kind}",state="(waiting|running)"\\} 1`));
  expect(metrics).toMatch(/trainyard_jobs_oldest_seconds\{kind="mount"\} [1-9]\d/);
  expect(metrics).not.toContain(id);
});

test('unknown routes, and bytes that are not HTTP, are errors in the form of the API', async () => {
  const { token } = await server.api();
  for (const path of ['/nowhere', `${BASE_PATH}/`, '/%zz']) {
    const response = await fetch(server.url + path, { headers: { authorization: `Bearer ${token}` } });
    expect([response.redirected, response.status]).toEqual([false, path === '/%zz' ? 400 : 404]);
    const form = { error_code: expect.any(Number), error_message: expect.any(String) };
    expect(await response.json()).toMatchObject(form);
  }
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write('NONSENSE\r\n\r\n');
  const answer = await text(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({ error_code: 400000 });
});

test('a request without a token is told the scheme, which is not case-sensitive', async () => {
  const response = await fetch(server.url + BASE_PATH);
  expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  const headers = { authorization: `bearer ${(await server.api()).token}` };
  expect((await fetch(server.url + BASE_PATH, { headers })).status).toBe(200);
});
