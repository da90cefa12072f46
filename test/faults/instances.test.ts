import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Api } from '../harness/api.js';
import { IS_ALL, whyNoPostgres, whyNoS3 } from '../harness/available.js';
import { Balancer, type Try } from '../harness/balancer.js';
import { type Gateway, startGateway, whyNoGateway } from '../harness/gateway.js';
import { type Line, layLine } from '../harness/tcp-link.js';
import { type Network, openNetwork } from '../harness/network.js';
import { onDatabase, type RunningPostgres, startPostgres } from '../harness/postgres.js';
import { newPlace, s3Environment, type TestBucket } from '../harness/s3.js';
import { eventually, newToken, startServer, type TestServer } from '../harness/server.js';
import { HEALED, unhealed } from './killed/unhealed.js';
import { expectLedger, Ledger, type MixedLoad, mixedClient } from './mixed-load.js';
import { seededRandom } from './random.js';

const SETTINGS = {
  'caption-grace-seconds': 0,
  // A PUT that an instance has given up can still arrive: the kernel sends it again when packets pass.
  'blob-grace-seconds': 60,
  'lease-seconds': IS_ALL ? 10 : 5,
  'log-level': 'info',
};
const WORKERS = 6;
/** This many acknowledged requests show progress. */
const SOME = IS_ALL ? 40 : 12;
/** How long a client retries, and the time within which the service heals. */
const PATIENCE_MS = 180_000;
const DELAY_MS = 250;
const OUTAGE_MS = 20_000;
const MANY_PACKETS = 30;
const LINES = ['postgres', 'store'] as const;

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

const leftOut = whyNoPostgres() ?? whyNoS3() ?? whyNoGateway();

describe.skipIf(leftOut !== undefined)(
  `two instances under load${leftOut === undefined ? '' : `, left out: ${leftOut}`}`,
  () => {
    let network: Network | { refusal: string };
    let postgres: RunningPostgres;
    /** Of its own only with `npm run test:all`, which stops it. */
    let gateway: Gateway | undefined;
    let bucket: TestBucket;
    let lines: { postgres: Line; store: Line };
    let databaseUrl: string;
    let env: Record<string, string>;
    let balancer: Balancer;
    const loads: (MixedLoad & { isStopped: boolean })[] = [];
    let working: Promise<unknown>;
    let acknowledged = 0;
    let token: string;
    const running: TestServer[] = [];
    const all: TestServer[] = [];
    /** Instances that the test has killed. */
    const killed = new Set<TestServer>();

    const start = async (): Promise<TestServer> => {
      const within = 'refusal' in network ? {} : { within: network };
      const server = await startServer(SETTINGS, { env, ...within });
      all.push(server);
      return server;
    };
    /** Starts an instance in place of one that has ended. */
    const startIn = async (place: number): Promise<void> => {
      const server = await start();
      running[place] = server;
      balancer.instances[place] = server.url;
    };
    /** Waits until this many more requests are acknowledged. */
    const progress = async (requests: number): Promise<void> => {
      const goal = acknowledged + requests;
      await Promise.race([eventually(() => acknowledged >= goal || undefined), working]);
    };
    /** Waits until every client has finished its current request. */
    const stopLoad = async (): Promise<void> => {
      for (const load of loads) load.isStopped = true;
      await working;
    };
    /** The tries that clients made during some work. */
    const triesDuring = async (work: () => Promise<void>): Promise<readonly Try[]> => {
      const before = balancer.tries.length;
      await work();
      return balancer.tries.slice(before);
    };
    const refusedByInstances = () =>
      balancer.tries.filter(({ to, outcome }) => to === 'instance' && outcome === 503).length;
    const refusedByStore = () => balancer.tries.filter(({ to, outcome }) => to === 'store' && outcome !== 200).length;

    beforeAll(async () => {
      network = IS_ALL ? openNetwork() : { refusal: 'npm run test:all loses packets' };
      const { TEST_S3_ENDPOINT: endpoint = '' } = await s3Environment();
      [postgres, gateway] = await Promise.all([startPostgres(), IS_ALL ? startGateway() : undefined]);
      bucket = newPlace();
      const host = 'refusal' in network ? '127.0.0.1' : network.hostAddress;
      lines = {
        postgres: await layLine({ host: '127.0.0.1', port: Number(new URL(postgres.url).port) }, { host }),
        store: await layLine({ host: '127.0.0.1', port: gateway?.port ?? Number(new URL(endpoint).port) }, { host }),
      };
      await onDatabase(postgres.url, 'create database yard');
      const direct = new URL(postgres.url);
      direct.pathname = 'yard';
      databaseUrl = direct.href;
      direct.host = `${host}:${lines.postgres.port}`;
      env = { DATABASE_URL: direct.href, BLOBS_URL: bucket.url({ endpoint: `http://${host}:${lines.store.port}` }) };
      running.push(...(await Promise.all([start(), start()])));
      token = await newToken('', 'default', { DATABASE_URL: databaseUrl });
      balancer = new Balancer(
        running.map(({ url }) => url),
        { token, patienceMs: PATIENCE_MS },
      );
      const api = new BalancedApi(balancer, token);
      for (let i = 0; i < WORKERS; i++) {
        const datasetId = await api.newDataset(`worker ${i}`);
        const putLink = async (url: string, bytes: Buffer) => {
          const { status } = await balancer.put(url, bytes);
          const isPending = async () => (await api.status(datasetId)).body.counts.pending > 0;
          if (status === 200) await eventually(async () => !(await isPending()) || undefined, PATIENCE_MS);
          return { status, body: {} };
        };
        const onAnswer = () => acknowledged++;
        loads.push({ api, datasetId, ledger: new Ledger(), isStopped: false, isRepeated: true, putLink, onAnswer });
      }
      working = Promise.all(loads.map((load, i) => mixedClient(load, i, seededRandom(i))));
      // It is awaited when the load is stopped.
      working.catch(() => {});
    });

    afterAll(async () => {
      await stopLoad().catch(() => {});
      for (const server of all) {
        if (server.process.exitCode === null && server.process.signalCode === null) await server.stop('SIGKILL');
        await rm(server.dataFolder, { recursive: true, force: true });
      }
      await bucket?.empty();
      await Promise.all([lines?.postgres.close(), lines?.store.close()]);
      if (network !== undefined && !('refusal' in network)) network.close();
      await gateway?.stop();
      await postgres?.discard();
    });

    test('one of them is killed and another started, and then the other, and no request to the survivor fails', async () => {
      const tries = await triesDuring(async () => {
        await progress(SOME);
        for (const [place, victim] of [...running.entries()]) {
          killed.add(victim);
          await victim.stop('SIGKILL');
          await progress(SOME);
          await startIn(place);
          await progress(SOME);
        }
      });
      expect(tries.filter(({ outcome }) => typeof outcome === 'number' && outcome >= 500)).toEqual([]);
    });

    test('a rolling restart loses no request', { tags: ['long'] }, async () => {
      const tries = await triesDuring(async () => {
        for (const place of [0, 1]) {
          expect(await running[place]!.stop('SIGTERM')).toBe(0);
          await progress(SOME);
          await startIn(place);
          await progress(SOME);
        }
      });
      const isLost = ({ outcome }: Try) => (typeof outcome === 'string' ? outcome !== 'ECONNREFUSED' : outcome > 503);
      expect(tries.filter(isLost)).toEqual([]);
    });

    test('Postgres is restarted', async () => {
      const before = refusedByInstances();
      await postgres.stop();
      await eventually(() => refusedByInstances() > before + WORKERS || undefined);
      await postgres.start();
      await progress(2 * SOME);
    });

    test('the gateway is away for a while', { tags: ['long'] }, async () => {
      const [since, byInstances, byStore] = [performance.now(), refusedByInstances(), refusedByStore()];
      const api = new Api(running[0]!.url, token);
      const id = await api.newDataset();
      const url = await api.link(id, 'meanwhile.txt', 5);
      const form = new FormData();
      form.append('file', new Blob(['bytes']), 'direct.txt');
      await gateway!.stop();
      // Every worker may be busy elsewhere while the gateway is away.
      const brought = balancer.put(url, Buffer.from('bytes'));
      const sent = balancer.request('POST', `/${id}/upload`, { body: form });
      await eventually(() => performance.now() - since > OUTAGE_MS || undefined, 2 * OUTAGE_MS);
      await eventually(() => (refusedByInstances() > byInstances && refusedByStore() > byStore) || undefined);
      await gateway!.start();
      expect([(await brought).status, (await sent).status]).toEqual([200, 200]);
      await progress(2 * SOME);
    });

    test.for(LINES)(
      'the connection to the %s is slow, then loses every twentieth packet, and then drops everything',
      { tags: ['long'] },
      async (line, { skip }) => {
        lines[line].delay(DELAY_MS);
        const tries = await triesDuring(() => progress(SOME));
        lines[line].delay(0);
        expect(tries.filter(({ outcome }) => typeof outcome === 'string' || outcome >= 500)).toEqual([]);
        await progress(SOME);

        if ('refusal' in network) return skip(network.refusal);
        const { lose, lost, loseNothing } = network;
        lose(5, [lines[line].port]);
        await progress(SOME);
        await eventually(() => lost() >= MANY_PACKETS || undefined, PATIENCE_MS);
        loseNothing();
        await progress(SOME);

        const before = refusedByInstances();
        const id = await new Api(running[0]!.url, token).newDataset();
        const form = new FormData();
        form.append('file', new Blob(['bytes']), 'direct.txt');
        lose(100, [lines[line].port]);
        // Every worker may be waiting for uploads that went to the store, which no instance refuses.
        const sent = balancer.request('POST', `/${id}/upload`, { body: form });
        await eventually(() => refusedByInstances() > before || undefined, PATIENCE_MS).finally(loseNothing);
        expect((await sent).status).toBe(200);
        await progress(SOME);
      },
    );

    test('then every acknowledged state is there, the service has healed by itself, and no client saw a violation', async () => {
      await stopLoad();
      const at = { instances: running.map(({ url }) => url), databaseUrl, bucket };
      await eventually(async () => {
        const found = await unhealed(at);
        return JSON.stringify(found) === JSON.stringify(HEALED) || undefined;
      }, PATIENCE_MS).catch(async () => expect(await unhealed(at)).toEqual(HEALED));
      for (const { url } of running) {
        for (const { datasetId, ledger } of loads) await expectLedger(new Api(url, token), datasetId, ledger);
      }

      const ofInstances = balancer.tries.filter(({ to }) => to === 'instance');
      const may = ({ outcome, retryAfter }: Try) =>
        typeof outcome === 'string'
          ? outcome !== 'HANG'
          : outcome < 500 || (outcome === 503 && retryAfter !== undefined);
      expect(ofInstances.filter((seen) => !may(seen))).toEqual([]);
      for (const server of all) {
        if (!killed.has(server)) expect(server.process.signalCode).toBe(null);
        expect(server.output()).not.toMatch(/"status":500|nhandled|uncaught|^\s+at |worker died/m);
      }
      for (const server of running) expect(server.process.exitCode).toBe(null);
    });
  },
);
