import { rm } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Api } from '../harness/api.js';
import { IS_ALL, whyNoPostgres, whyNoS3 } from '../harness/available.js';
import { Balancer, type Try } from '../harness/balancer.js';
import { databaseForTest } from '../harness/postgres.js';
import { newBucket, s3Environment } from '../harness/s3.js';
import { eventually, newToken, startServer, type TestServer } from '../harness/server.js';
import { type TcpLink, tcpLinkTo } from '../harness/tcp-link.js';
import { HEALED, unhealed } from './killed/unhealed.js';
import { expectLedger, Ledger, type MixedLoad, mixedClient } from './mixed-load.js';
import { seededRandom } from './random.js';

const SETTINGS = {
  'caption-grace-seconds': 0,
  // A PUT that an instance has given up can still arrive.
  'blob-grace-seconds': 60,
  'lease-seconds': IS_ALL ? 10 : 5,
  'log-level': 'info',
};
const WORKERS = 6;
/** This many acknowledged requests show progress. */
const SOME = IS_ALL ? 40 : 8;
/** How long a client retries, and the time within which the service heals. */
const PATIENCE_MS = 180_000;

/** Sends each request to one of the instances, and repeats it until it is answered. */
class BalancedApi extends Api {
  readonly #balancer: Balancer;

  constructor(balancer: Balancer, token: string) {
    super('', token);
    this.#balancer = balancer;
  }

  override async raw(method: string, path: string, { body }: RequestInit = {}): Promise<Response> {
    const decoded = typeof body === 'string' ? JSON.parse(body) : body;
    const { status, body: bytes } = await this.#balancer.request(method, path, { body: decoded });
    return new Response(bytes as Uint8Array<ArrayBuffer>, { status });
  }
}

/** Clients that change datasets through all instances, each a dataset of its own. */
class Load {
  readonly #balancer: Balancer;
  readonly #loads: MixedLoad[] = [];
  #acknowledged = 0;
  #working: Promise<unknown> = Promise.resolve();

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
  }

  async start(token: string): Promise<void> {
    const api = new BalancedApi(this.#balancer, token);
    for (let i = 0; i < WORKERS; i++) {
      const datasetId = await api.newDataset(`worker ${i}`);
      const putLink = async (url: string, bytes: Buffer) => {
        const { status } = await this.#balancer.put(url, bytes);
        const isPending = async () => (await api.status(datasetId)).body.counts.pending > 0;
        if (status === 200) await eventually(async () => !(await isPending()) || undefined, PATIENCE_MS);
        return { status, body: {} };
      };
      const onAnswer = () => this.#acknowledged++;
      this.#loads.push({ api, datasetId, ledger: new Ledger(), isStopped: false, isRepeated: true, putLink, onAnswer });
    }
    this.#working = Promise.all(this.#loads.map((load, i) => mixedClient(load, i, seededRandom(i))));
    // It is awaited when the load is stopped.
    this.#working.catch(() => {});
  }

  /** Waits until this many more requests are acknowledged. */
  async progress(requests: number): Promise<void> {
    const goal = this.#acknowledged + requests;
    await Promise.race([eventually(() => this.#acknowledged >= goal || undefined, PATIENCE_MS), this.#working]);
  }

  /** Waits until every client has finished its current request. */
  async stop(): Promise<void> {
    for (const load of this.#loads) load.isStopped = true;
    await this.#working;
  }

  async expectAllAt(url: string, token: string): Promise<void> {
    for (const { datasetId, ledger } of this.#loads) await expectLedger(new Api(url, token), datasetId, ledger);
  }
}

const leftOut = whyNoPostgres() ?? whyNoS3();

const title = `of two instances under load each is killed, and loses Postgres and the store, and no client notices${leftOut ? `, left out: ${leftOut}` : ''}`;
test.skipIf(leftOut !== undefined)(title, { tags: ['long'] }, async () => {
  const { TEST_S3_ENDPOINT: endpoint = '' } = await s3Environment();
  const [databaseUrl, bucket] = [await databaseForTest(), newBucket()];
  const lines = { postgres: await tcpLinkTo(databaseUrl), store: await tcpLinkTo(endpoint) };
  const relayed = new URL(databaseUrl);
  relayed.host = new URL(lines.postgres.url).host;
  const env = { DATABASE_URL: relayed.href, BLOBS_URL: bucket.url({ endpoint: lines.store.url }) };
  const all: TestServer[] = [];
  onTestFinished(async () => {
    for (const server of all) {
      if (server.process.exitCode === null && server.process.signalCode === null) await server.stop('SIGKILL');
      await rm(server.dataFolder, { recursive: true, force: true });
    }
  });
  const start = async () => {
    const server = await startServer(SETTINGS, { env });
    all.push(server);
    return server;
  };
  const running = await Promise.all([start(), start()]);
  const token = await newToken('', 'default', { DATABASE_URL: databaseUrl });
  const urls = () => running.map(({ url }) => url);
  const balancer = new Balancer(urls(), { token, patienceMs: PATIENCE_MS });
  const load = new Load(balancer);
  await load.start(token);
  onTestFinished(() => load.stop().catch(() => {}));

  /** Ends each instance and starts another one in its place. @returns the tries of clients meanwhile */
  const replaceEach = async (signal: NodeJS.Signals): Promise<readonly Try[]> => {
    const before = balancer.tries.length;
    await load.progress(SOME);
    for (const place of [0, 1]) {
      await running[place]!.stop(signal);
      await load.progress(SOME);
      running[place] = await start();
      balancer.instances[place] = running[place].url;
      await load.progress(SOME);
    }
    return balancer.tries.slice(before);
  };
  const isRefusal = ({ outcome }: Try) => typeof outcome === 'number' && outcome >= 500;
  expect((await replaceEach('SIGKILL')).filter(isRefusal)).toEqual([]);
  if (IS_ALL) {
    const isLost = ({ outcome }: Try) => (typeof outcome === 'string' ? outcome !== 'ECONNREFUSED' : outcome > 503);
    expect((await replaceEach('SIGTERM')).filter(isLost)).toEqual([]);
  }

  /** Until an instance says so, and a direct upload that is sent meanwhile waits for the end. */
  const without = async (line: TcpLink, fault: 'goAway' | 'stall'): Promise<void> => {
    const refusals = () => balancer.tries.filter(({ to, outcome }) => to === 'instance' && outcome === 503).length;
    const before = refusals();
    const id = await new Api(running[0]!.url, token).newDataset();
    const form = new FormData();
    form.append('file', new Blob(['bytes']), 'direct.txt');
    await line[fault]();
    const sent = balancer.request('POST', `/${id}/upload`, { body: form });
    await eventually(() => refusals() > before || undefined, PATIENCE_MS).finally(line.mend);
    expect((await sent).status).toBe(200);
    await load.progress(SOME);
  };
  for (const line of [lines.postgres, lines.store]) {
    await without(line, 'goAway');
    if (IS_ALL) await without(line, 'stall');
  }

  await load.stop();
  const found = () => unhealed({ instances: urls(), databaseUrl, bucket });
  await expect.poll(found, { timeout: PATIENCE_MS }).toEqual(HEALED);
  for (const url of urls()) await load.expectAllAt(url, token);
  const isViolation = ({ to, outcome, retryAfter }: Try) => {
    if (to === 'store' || typeof outcome === 'string') return outcome === 'HANG';
    return outcome >= 500 && !(outcome === 503 && retryAfter !== undefined);
  };
  expect(balancer.tries.filter(isViolation)).toEqual([]);
  for (const server of all) expect(server.output()).not.toMatch(/"status":500|nhandled|uncaught|^\s+at |worker died/m);
  for (const { process } of running) expect([process.exitCode, process.signalCode]).toEqual([null, null]);
});
