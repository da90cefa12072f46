import { Agent, get as httpGet } from 'node:http';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { type Api, put } from '../harness/api.js';
import { Balancer } from '../harness/balancer.js';
import { trainyard } from '../harness/command.js';
import { discardServer, eventually, serverUntil, startServer, type TestServer } from '../harness/server.js';
import { contentOf } from './contents.js';
import { directHead, formOf, headOf, putBytes, RawClient } from './raw-client.js';
import { faultsOf, NOTHING_REMAINS, remainsIn, stagedIn } from './remains.js';
import { sha256 } from '../harness/sha256.js';

/** Longer than a test takes: the server ends only when every request ends by itself. */
const FOR_EVER = { 'stop-seconds': 86_400, 'idle-seconds': 86_400 };

let server: TestServer;

afterEach(async () => {
  const faults = faultsOf(server);
  server.process.kill('SIGKILL');
  await discardServer(server);
  expect(faults).toEqual([]);
});

// The inspection of a short caption is immediate, also on a very busy machine.
const caption = contentOf('direct.txt', 'in flight while the server stops', 50_000);
const { head, tail } = formOf('direct.txt');

/** Sends a GET on a connection of its own. */
async function ask(api: Api, path: string): Promise<RawClient> {
  const client = await RawClient.open(server.url);
  await client.send(headOf('GET', new URL(path, server.url), { Authorization: `Bearer ${api.token}` }));
  return client;
}

/** Signals the process, and waits until it logs that it stops. */
async function stopping(signal: NodeJS.Signals): Promise<() => Promise<number | null>> {
  const exitCode = server.stop(signal);
  await eventually(() => (server.output().includes('finishing requests in flight') ? true : undefined));
  return () => exitCode;
}

/** One direct upload and one PUT through a link, both without their last bytes. */
async function uploadsInFlight(api: Api, id: string) {
  const url = await api.link(id, 'link.txt', caption.length);
  const [direct, linked] = [await RawClient.open(server.url), await RawClient.open(server.url)];
  await direct.send(
    directHead(api, id, { 'Content-Length': head.length + caption.length + tail.length }),
    head,
    caption,
  );
  await linked.send(putBytes(url, caption).subarray(0, -1));
  await eventually(() => (stagedIn(server.dataFolder).length === 2 ? true : undefined));
  return { direct, linked, url };
}

test('SIGTERM lets uploads finish, ends what waits, and turns the rest away', async () => {
  server = await startServer(FOR_EVER);
  const api = await server.api();
  const id = await api.newDataset();
  const { direct, linked } = await uploadsInFlight(api, id);

  const status = await ask(api, `${BASE_PATH}/${id}/status?wait=60`);
  const events = await ask(api, `${BASE_PATH}/${id}/events`);
  await eventually(() => (events.received.includes('event: dataset') ? true : undefined));
  const idle = await ask(api, '/healthz');
  expect((await eventually(() => idle.answer())).status).toBe(200);
  const unused = await RawClient.open(server.url);

  const exitCode = await stopping('SIGTERM');
  expect(await eventually(() => status.answer())).toMatchObject({
    status: 200,
    body: { status: 'UPLOADING', files: [] },
  });
  await events.closed();
  expect(events.received).not.toContain('event: deleted');
  await Promise.all([idle.closed(), unused.closed()]);
  // The kernel resets a connection that arrives at the very moment when the server stops listening, or the server closes it.
  const newcomer = await eventually(async () => {
    const outcome = await fetch(`${server.url}/healthz`).then(
      (response) => response.status,
      (error) => error.cause.code,
    );
    return ['ECONNRESET', 'UND_ERR_SOCKET'].includes(outcome) ? undefined : outcome;
  });
  expect(['ECONNREFUSED', 503]).toContain(newcomer);
  expect(server.process.exitCode).toBeNull();

  await direct.send(tail);
  await linked.send(caption.subarray(-1));
  for (const [client, filename] of [
    [direct, 'direct.txt'],
    [linked, 'link.txt'],
  ] as const) {
    expect(await eventually(() => client.answer())).toMatchObject({
      status: 200,
      body: { filename, sha256: sha256(caption) },
    });
  }
  // Their clients keep these connections open, which must not delay the server.
  expect(await exitCode()).toBe(0);

  const { dataFolder } = server;
  expect(stagedIn(dataFolder)).toEqual([]);
  server = await startServer({}, { dataFolder });
  expect(await (await server.api()).filenames(id)).toEqual(['direct.txt', 'link.txt']);
});

test('an upload that does not finish is cut off after the time for it, and its link can be used after the next start', async () => {
  server = await startServer({ ...FOR_EVER, 'stop-seconds': 1 });
  const api = await server.api();
  const id = await api.newDataset();
  const { direct, linked } = await uploadsInFlight(api, id);
  const events = await ask(api, `${BASE_PATH}/${id}/events`);
  expect(await server.stop()).toBe(0);
  await Promise.all([direct.closed(), linked.closed(), events.closed()]);

  const { dataFolder } = server;
  const faults = faultsOf(server);
  server = await startServer({}, { dataFolder });
  expect(faults).toEqual([]);
  expect(remainsIn(dataFolder)).toEqual(NOTHING_REMAINS);
  const { body } = await (await server.api()).status(id);
  expect(body).toMatchObject({ status: 'UPLOADING', files: [], counts: { pending: 1 } });
});

test('behind a load balancer that retries 503 at another instance no request is lost, and a client that asks again and again does not keep the server', async () => {
  const other = await serverUntil(onTestFinished);
  server = await startServer(FOR_EVER);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const askAgain = () =>
    new Promise<number | string>((resolve) => {
      const request = httpGet(`${server.url}/healthz`, { agent }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      });
      request.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    });
  const seen = new Set<number | string>();
  const asking = (async () => {
    while (server.process.exitCode === null) seen.add(await askAgain());
  })();
  const balancer = new Balancer([server.url, other.url], { token: (await other.api()).token, patienceMs: 0 });
  let isOver = false;
  const load = Array.from({ length: 12 }, async () => {
    while (!isOver) await balancer.passOn('GET', '').catch(() => {});
  });
  const answers = () => balancer.tries.length;
  await eventually(() => (answers() > 50 && seen.has(200)) || undefined);
  expect(await server.stop()).toBe(0);
  const before = answers();
  await eventually(() => answers() > before + 50 || undefined);
  isOver = true;
  await Promise.all([asking, ...load]);
  agent.destroy();
  expect([...seen]).toContain(503);
  expect([...seen].filter((answer) => ![200, 503, 'ECONNREFUSED', 'ECONNRESET'].includes(answer))).toEqual([]);
  const outcomes = new Set(balancer.tries.map(({ outcome }) => outcome));
  // The two instances share nothing, so each has its own token.
  expect([...outcomes].filter((outcome) => ![200, 401, 503, 'ECONNREFUSED'].includes(outcome))).toEqual([]);
});

test('a folder is served by one process, which does not wait after a second signal', async () => {
  server = await startServer(FOR_EVER);
  const second = await trainyard(['serve', '--port', '0', '--data', server.dataFolder]);
  expect([second.code, second.stderr]).toEqual([75, expect.stringContaining(server.dataFolder)]);
  const api = await server.api();
  const { url } = await uploadsInFlight(api, await api.newDataset());
  const exitCode = await stopping('SIGTERM');
  server.process.kill('SIGINT');
  expect(await exitCode()).toBe(1);
  server = await startServer({}, { dataFolder: server.dataFolder });
  // The lease of the process that is gone does not hold the upload.
  const { pathname, search } = new URL(url);
  expect((await put(`${server.url}${pathname}${search}`, caption)).status).toBe(200);
});
