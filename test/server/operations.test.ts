import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Metrics } from '../../src/server/metrics.js';
import type { JobCounts } from '../../src/storage/catalog/jobs.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ 'log-level': 'debug' });
});
afterAll(() => discardServer(server));

const get = (path: string) => fetch(`${server.url}${path}`);

describe('the OpenAPI document', () => {
  test('has the security and the errors of each endpoint, and schemas', async () => {
    const document = (await (await get('/openapi.json')).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { security?: unknown; responses: Record<string, unknown> }>>;
      components: { schemas: Record<string, { properties?: Record<string, unknown> }> };
    };
    expect(document.openapi).toBe('3.1.0');
    const base = '/prod/v1/trainers/datasets';
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const operation of Object.values(methods)) {
        expect(operation.security !== undefined).toBe(path.startsWith(base));
        if (path.startsWith(base)) expect(operation.responses).toHaveProperty('401');
      }
    }
    const { Dataset, Error: refusal } = document.components.schemas;
    expect(Object.keys(Dataset?.properties ?? {})).toEqual(expect.arrayContaining(['id', 'status', 'created_at']));
    expect(Object.keys(refusal?.properties ?? {})).toEqual(['error_code', 'error_message', 'detail', 'current']);
  });
});

describe('operations', () => {
  test('/docs, /healthz and /readyz answer without a token', async () => {
    expect(await (await get('/docs')).text()).toContain('/openapi.json');
    expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' });
    expect(await (await get('/readyz')).json()).toMatchObject({ status: 'ready' });
  });

  test('/metrics counts requests by route, and uploads by outcome', async () => {
    const api = await server.api();
    const id = await api.newDataset();
    await api.upload(id, 'a.txt', 'hello');
    await api.upload(id, 'a.png', 'hello');
    const metrics = await (await get('/metrics')).text();
    expect(metrics).toMatch(/trainyard_http_request_duration_seconds_count\{[^}]*route="\/prod[^"]*:id\/upload"/);
    expect(metrics).toContain('trainyard_uploads_total{via="direct",outcome="stored"} 1');
    expect(metrics).toContain('trainyard_uploads_total{via="direct",outcome="refused"} 1');
    expect(metrics).toContain('trainyard_uploaded_bytes_total 5');
    expect(metrics).not.toContain(id);
  });
});

describe('an unknown route', () => {
  test.each(['/nowhere', '/prod/v1/trainers/datasets/', '/%zz'])('%s is 404 or 400 in our form', async (path) => {
    const api = await server.api();
    const response = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${api.token}` } });
    expect(response.redirected).toBe(false);
    expect([400, 404]).toContain(response.status);
    expect(await response.json()).toMatchObject({
      error_code: expect.any(Number),
      error_message: expect.any(String),
    });
  });

  test("bytes that are not HTTP get an error in the API's format", async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('NONSENSE\r\n\r\n');
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({ error_code: 400000 });
  });
});

test('the metrics have the jobs of each kind, and how long the first one that is due has waited', async () => {
  const metrics = new Metrics();
  const error = 'The disk is full.';
  const counts = [
    { kind: 'deliver', waiting: 3, running: 2, failed: 1, oldestDueAt: 5_000_000, error },
    { kind: 'mount', waiting: 1, running: 0, failed: 0, oldestDueAt: 9_000_000, error: undefined },
  ] as const;
  let found: () => Promise<JobCounts[]> = async () => [...counts];
  metrics.jobs(
    () => found(),
    () => 7_500_000,
  );
  const text = await metrics.text();
  expect(text).toContain('trainyard_jobs{kind="deliver",state="waiting"} 3');
  expect(text).toContain('trainyard_jobs{kind="deliver",state="running"} 2');
  expect(text).toContain('trainyard_jobs{kind="deliver",state="failed"} 1');
  expect(text).toContain('trainyard_jobs_oldest_seconds{kind="deliver"} 2.5');
  expect(text).toContain('trainyard_jobs_oldest_seconds{kind="mount"} 0');
  expect(text).toContain('trainyard_jobs{kind="check-file",state="waiting"} 0');
  expect(text).not.toContain(error);
  found = async () => [];
  await expect.poll(() => metrics.text()).toContain('trainyard_jobs{kind="deliver",state="waiting"} 0');
  found = () => Promise.reject(new Error('The database does not answer.'));
  await expect.poll(() => metrics.text()).not.toContain('trainyard_jobs{');
});
