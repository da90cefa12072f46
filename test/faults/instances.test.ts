import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenCatalog, openCatalog } from '../../src/storage/catalog/open-catalog.js';
import { Api } from '../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../harness/available.js';
import { Balancer, type Try } from '../harness/balancer.js';
import { type Gateway, startGateway, whyNoGateway } from '../harness/gateway.js';
import { type Line, layLine } from '../harness/tcp-link.js';
import { type Network, openNetwork } from '../harness/network.js';
import { onDatabase, type RunningPostgres, startPostgres } from '../harness/postgres.js';
import { newPlace, s3Environment, type TestBucket } from '../harness/s3.js';
import { eventually, newToken, startServer, type TestServer } from '../harness/server.js';
import { expectAcknowledged, HEALED, unhealed } from './acknowledged.js';
import { Load } from './load.js';

const SETTINGS = {
  'caption-grace-seconds': 0,
  // A PUT that an instance has given up can still arrive: the kernel sends it again when packets pass.
  'blob-grace-seconds': 60,
  'lease-seconds': 10,
  'log-level': 'info',
};
const WORKERS = 6;
/** This many acknowledged requests show progress. */
const SOME = 40;
/** How long a client retries, and the time within which the service heals. */
const PATIENCE_MS = 180_000;
const DELAY_MS = 250;
const OUTAGE_MS = 20_000;
const MANY_PACKETS = 30;
const LINES = ['postgres', 'store'] as const;

const leftOut = whyNoPostgres() ?? whyNoS3() ?? whyNoGateway();

describe.skipIf(leftOut !== undefined)(
  `two instances under load${leftOut === undefined ? '' : `, left out: ${leftOut}`}`,
  () => {
    let network: Network | { refusal: string };
    let postgres: RunningPostgres;
    let gateway: Gateway;
    let bucket: TestBucket;
    let lines: { postgres: Line; store: Line };
    let databaseUrl: string;
    let env: Record<string, string>;
    let balancer: Balancer;
    let load: Load;
    let token: string;
    let metadata: OpenCatalog;
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
      network = openNetwork();
      await s3Environment();
      [postgres, gateway] = await Promise.all([startPostgres(), startGateway()]);
      bucket = newPlace();
      const host = 'refusal' in network ? '127.0.0.1' : network.hostAddress;
      lines = {
        postgres: await layLine({ host: '127.0.0.1', port: Number(new URL(postgres.url).port) }, { host }),
        store: await layLine({ host: '127.0.0.1', port: gateway.port }, { host }),
      };
      await onDatabase(postgres.url, 'create database yard');
      const direct = new URL(postgres.url);
      direct.pathname = 'yard';
      databaseUrl = direct.href;
      direct.host = `${host}:${lines.postgres.port}`;
      env = { DATABASE_URL: direct.href, BLOBS_URL: bucket.url({ endpoint: `http://${host}:${lines.store.port}` }) };
      running.push(...(await Promise.all([start(), start()])));
      token = await newToken('', 'default', { DATABASE_URL: databaseUrl });
      metadata = await openCatalog({ dataFolder: '', blobGrace: 0, databaseUrl });
      balancer = new Balancer(
        running.map(({ url }) => url),
        { token, patienceMs: PATIENCE_MS },
      );
      load = new Load(balancer, { token, workers: WORKERS });
    });

    afterAll(async () => {
      await load?.stop();
      await metadata?.close();
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

    test('no request fails without a fault', async () => {
      const tries = await triesDuring(() => load.progress(SOME));
      expect(tries.filter(({ outcome }) => typeof outcome === 'string' || outcome >= 500)).toEqual([]);
    });

    test('one of them is killed and another started, and then the other', async () => {
      for (const [place, victim] of [...running.entries()]) {
        killed.add(victim);
        await victim.stop('SIGKILL');
        await load.progress(SOME);
        await startIn(place);
        await load.progress(SOME);
      }
    });

    test('a rolling restart loses no request', async () => {
      const tries = await triesDuring(async () => {
        for (const place of [0, 1]) {
          expect(await running[place]!.stop('SIGTERM')).toBe(0);
          await load.progress(SOME);
          await startIn(place);
          await load.progress(SOME);
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
      await load.progress(2 * SOME);
    });

    test('the gateway is away for a while', async () => {
      const [since, byInstances, byStore] = [performance.now(), refusedByInstances(), refusedByStore()];
      const api = new Api(running[0]!.url, token);
      const id = await api.newDataset();
      const url = await api.link(id, 'meanwhile.txt', 5);
      const form = new FormData();
      form.append('file', new Blob(['bytes']), 'direct.txt');
      await gateway.stop();
      // Every worker may be busy elsewhere while the gateway is away.
      const brought = balancer.put(url, Buffer.from('bytes'));
      const sent = balancer.request('POST', `/${id}/upload`, { body: form });
      await eventually(() => performance.now() - since > OUTAGE_MS || undefined, 2 * OUTAGE_MS);
      await eventually(() => (refusedByInstances() > byInstances && refusedByStore() > byStore) || undefined);
      await gateway.start();
      expect([(await brought).status, (await sent).status]).toEqual([200, 200]);
      await load.progress(2 * SOME);
    });

    test.each(LINES)('the connection to the %s is slow', async (line) => {
      lines[line].delay(DELAY_MS);
      const tries = await triesDuring(() => load.progress(SOME));
      lines[line].delay(0);
      expect(tries.filter(({ outcome }) => typeof outcome === 'string' || outcome >= 500)).toEqual([]);
      await load.progress(SOME);
    });

    test.for(LINES)('the connection to the %s loses every twentieth packet', async (line, { skip }) => {
      if ('refusal' in network) return skip(network.refusal);
      const { lose, lost, loseNothing } = network;
      lose(5, [lines[line].port]);
      await load.progress(SOME);
      await eventually(() => lost() >= MANY_PACKETS || undefined, PATIENCE_MS);
      loseNothing();
      await load.progress(SOME);
    });

    test.for(LINES)('the connection to the %s silently drops everything', async (line, { skip }) => {
      if ('refusal' in network) return skip(network.refusal);
      const { lose, loseNothing } = network;
      const before = refusedByInstances();
      const id = await new Api(running[0]!.url, token).newDataset();
      const form = new FormData();
      form.append('file', new Blob(['bytes']), 'direct.txt');
      lose(100, [lines[line].port]);
      // Every worker may be waiting for uploads that went to the store, which no instance refuses.
      const sent = balancer.request('POST', `/${id}/upload`, { body: form });
      await eventually(() => refusedByInstances() > before || undefined, PATIENCE_MS).finally(loseNothing);
      expect((await sent).status).toBe(200);
      await load.progress(SOME);
    });

    test('then every acknowledged state is there, and the service has healed by itself', async () => {
      await load.stop();
      const at = { instances: running.map(({ url }) => url), databaseUrl, bucket };
      await eventually(async () => {
        const found = await unhealed(at);
        return JSON.stringify(found) === JSON.stringify(HEALED) || undefined;
      }, PATIENCE_MS).catch(async () => expect(await unhealed(at)).toEqual(HEALED));
      await expectAcknowledged(
        load.owed,
        running.map(({ url }) => new Api(url, token)),
        metadata,
      );
      expect(load.violations).toEqual([]);
    });

    test('and no client saw a violation meanwhile', () => {
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
