import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { headOf, RawClient } from '../faults/raw-client.js';
import { put } from '../harness/api.js';
import { metricsOf } from '../harness/metrics.js';
import { eventually, serverUntil, temporaryFolder } from '../harness/server.js';

const auditLog = join(await temporaryFolder(), 'audit.log');
const server = await serverUntil(afterAll, { 'audit-log': auditLog });
const api = await server.api();

const urlOf = (path: string) => new URL(`${server.url}${BASE_PATH}${path}`);
const headers = () => ({ Authorization: `Bearer ${api.token}` });

async function metric(name: string): Promise<number> {
  const text = await metricsOf(server);
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

describe('of a request whose client resets the connection before it is answered', () => {
  test('the change is recorded, and the memory and the files in flight are free again', async () => {
    const id = await api.newDataset();
    const sizes = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`${i}.png`, 1000]));
    const body = JSON.stringify({ filenameToByteSize: sizes });
    const head = { ...headers(), 'Content-Type': 'application/json', 'Content-Length': body.length };
    const client = await RawClient.open(server.url);
    await client.send(headOf('POST', urlOf(`/${id}/get-upload-endpoint`), head), body);
    // The body has arrived: it is counted from its first bytes on.
    await eventually(async () => (await metric('trainyard_files_in_flight')) === 20_000 || undefined);
    expect(await metric('trainyard_body_memory_bytes')).toBeGreaterThan(0);
    await client.reset();
    const recorded = await eventually(async () => {
      const lines = (await readFile(auditLog, 'utf8')).trim().split('\n');
      return lines.map((line) => JSON.parse(line)).find(({ dataset, files }) => dataset === id && files === 20_000);
    });
    expect(recorded.outcome).toBe('done');
    expect(await metric('trainyard_body_memory_bytes')).toBe(0);
    expect(await metric('trainyard_unsent_answer_bytes')).toBe(0);
    await eventually(async () => (await metric('trainyard_files_in_flight')) === 0 || undefined);
    const { datasets } = (await api.list()).body;
    expect(datasets.find((dataset) => dataset.id === id)?.counts.pending).toBe(20_000);
    const link = await api.link(await api.newDataset(), 'a.txt', 5);
    expect((await put(link, 'a dog')).status).toBe(200);
    await eventually(async () => (await metric('trainyard_uploads_in_flight')) === 0 || undefined);
  });

  test('requests behind an unanswered one on the same connection end with it, and have not begun', async () => {
    const id = await api.newDataset();
    const client = await RawClient.open(server.url);
    const body = JSON.stringify({ name: 'made behind' });
    const head = { ...headers(), 'Content-Type': 'application/json', 'Content-Length': body.length };
    await client.send(
      headOf('GET', urlOf(`/${id}/events`), headers()),
      headOf('GET', urlOf('/account'), headers()),
      headOf('POST', urlOf(''), head),
      body,
    );
    await eventually(() => client.received.includes('event: dataset') || undefined);
    await client.reset();
    expect((await api.list('?name=made%20behind')).body.datasets).toEqual([]);
  });
});

/** The statuses of all answers received so far, in order. */
const statusesOf = (client: RawClient) =>
  [...client.received.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));

test('a CONNECT whose client resets the connection after the answer ends nothing else', async () => {
  const socket = connect({ port: Number(new URL(server.url).port), allowHalfOpen: true });
  socket.write('CONNECT yard:80 HTTP/1.1\r\nHost: yard\r\n\r\n');
  expect(String((await once(socket, 'data'))[0])).toContain('not a proxy');
  socket.resetAndDestroy();
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
});

test('requests that are sent at once are answered in order, at every length and however the bytes are divided', async () => {
  const json = (more: Record<string, string | number>, body: string) => {
    const head = { ...headers(), 'Content-Type': 'application/json', ...more };
    return headOf('POST', urlOf(''), head) + body;
  };
  const requests = Array.from({ length: 40 }, (_, i) => {
    const body = `{"name":${'\r\n'.repeat(i * 70)}1}`;
    const many = Object.fromEntries(Array.from({ length: i }, (_, n) => [`X-${n}`, 'x']));
    const chunks = (body.match(/.{1,500}/gs) ?? []).map((text) => `${text.length.toString(16)}\r\n${text}\r\n`);
    return [
      // A large answer: the package of the command line has some hundred kilobytes.
      { status: 200, bytes: 'GET /cli.tgz HTTP/1.1\r\nHost: a\r\n\r\n' },
      { status: 404, bytes: 'GET /unknown HTTP/1.1\r\nHost: a\r\n\r\n' },
      { status: 422, bytes: json({ ...many, 'Content-Length': body.length }, body) },
      { status: 422, bytes: json({ ...many, 'Transfer-Encoding': 'chunked' }, `${chunks.join('')}0\r\n\r\n`) },
    ][i % 4]!;
  });
  const bytes = requests.map((each) => each.bytes).join('');
  for (const sizes of [[bytes.length], [1, 700], [7, 20_000, 3000]]) {
    const client = await RawClient.open(server.url);
    for (let start = 0, i = 0; start < bytes.length; start += sizes[i++ % sizes.length]!) {
      await client.send(bytes.slice(start, start + sizes[i % sizes.length]!));
    }
    await eventually(() => (statusesOf(client).length >= requests.length ? true : undefined));
    expect(statusesOf(client)).toEqual(requests.map(({ status }) => status));
    await client.hangUp();
  }
});
