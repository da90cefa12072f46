import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { WireDatasetWithFiles } from '../../src/api/schemas.js';
import * as media from '../fixtures/media.js';
import { Api, type UploadLink } from '../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../harness/available.js';
import { Follower } from '../harness/follower.js';
import { proxiedForTest } from '../harness/postgres.js';
import { type BreakingProxy, startProxy } from '../harness/proxy.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { newWorld, type World } from '../harness/world.js';

const SETTINGS = { 'caption-grace-seconds': 0, 'blob-grace-seconds': 0, 'lease-seconds': 2, 'stop-seconds': 2 };
const MINUTE_MS = 60_000;

const leftOut = whyNoPostgres() ?? whyNoS3();
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
const putTo = (url: string, body: Uint8Array | string) => fetch(url, { method: 'PUT', body: Buffer.from(body) });
const numbered = (count: number) => Array.from({ length: count }, (_, i) => i);

describe.skipIf(leftOut !== undefined)(
  `instances on one store${leftOut === undefined ? '' : `, left out: ${leftOut}`}`,
  () => {
    let world: World;
    /** Between the instances and their store. */
    let proxy: BreakingProxy;
    let env: Record<string, string>;
    let survivor: TestServer;
    let api: Api;
    beforeAll(async () => {
      world = await newWorld('postgres+presigned');
      proxy = await startProxy(world.env.TEST_S3_ENDPOINT!);
      const blobs = new URL(world.env.BLOBS_URL!);
      blobs.searchParams.set('endpoint', proxy.url);
      env = { ...world.env, BLOBS_URL: blobs.href };
      survivor = await startServer(SETTINGS, { env });
      api = await survivor.api();
    });
    afterAll(async () => {
      await discardServer(survivor);
      await proxy.close();
      await world.discard();
    });

    /** Starts another instance beside the survivor, with a client of it. */
    const another = async (more: { env?: Record<string, string>; settings?: Record<string, number> } = {}) => {
      const server = await startServer({ ...SETTINGS, ...more.settings }, { env: { ...env, ...more.env } });
      onTestFinished(() => discardServer(server));
      return { server, api: new Api(server.url, api.token) };
    };
    const finalized = (id: string, at = api): Promise<WireDatasetWithFiles> =>
      eventually(async () => {
        const { status, body } = await at.status(id);
        expect(status).toBe(200);
        return body.status === 'UPLOADING' ? undefined : body;
      });
    const readsOf = (key: string) => proxy.requests('GET', key);

    test('an upload that one instance was finalizing when it was killed is finalized by another', async () => {
      const database = await proxiedForTest(env.DATABASE_URL!);
      const image = await media.jpeg();
      const id = await api.newDataset();
      await api.upload(id, 'a.txt', 'a caption');
      const url = await api.link(id, 'a.jpg', image.length);
      const key = new URL(url).pathname;
      // The instance that reads the object first loses its database, so it can't record the result.
      let isRead = false;
      proxy.rule(({ method, path }) => {
        if (method === 'GET' && path.startsWith(key) && !isRead) {
          isRead = true;
          database.proxy.fallSilent();
        }
        return undefined;
      });
      onTestFinished(() => proxy.rule());
      // No other instance is left to read it.
      await survivor.stop();
      const victim = await another({ env: { DATABASE_URL: database.url } });
      await putTo(url, image);
      await victim.api.status(id);
      await eventually(() => readsOf(key)[0]?.status ?? undefined);
      await victim.server.stop('SIGKILL');

      await rm(survivor.dataFolder, { recursive: true });
      survivor = await startServer(SETTINGS, { env });
      api = new Api(survivor.url, api.token);
      const { body: before } = await api.status(id);
      expect([before.status, before.counts.pending]).toEqual(['UPLOADING', 1]);
      const dataset = await finalized(id);
      expect([dataset.status, dataset.files[0]?.sha256]).toEqual(['READY', sha256(image)]);
      expect(readsOf(key).map(({ status }) => status)).toEqual([200, 200]);
    });

    test('events of presigned uploads reach a listener at the other instance', async () => {
      const other = await another();
      const id = await api.newDataset();
      const follower = new Follower(id, { instances: () => [other.server.url], token: api.token, first: 0 });
      onTestFinished(() => follower.stop());
      await follower.sees(({ status }) => status === 'DRAFT');
      const image = await media.jpeg();
      await putTo(await api.link(id, 'a.jpg', image.length), image);
      await api.upload(id, 'a.txt', 'a');
      await follower.sees(({ status, counts }) => status === 'READY' && counts.images === 1);
      await api.request('DELETE', `/${id}/files/a.txt`);
      await follower.sees(({ counts }) => counts.captions === 0);
    });

    test('a poll costs the store one listing at the most, and each object one read', async () => {
      const id = await api.newDataset();
      const contents = new Map(numbered(1200).map((i) => [`${i}.txt`, `caption ${i}`]));
      const sizes = Object.fromEntries([...contents].map(([name, text]) => [name, text.length]));
      const { uploads } = (await api.links(id, sizes)).body;
      const listings = () => proxy.requests('GET', 'list-type=2').filter(({ path }) => path.includes(id)).length;
      const bring = async (names: readonly string[]) => {
        const put = async (name: string, { upload_url }: UploadLink) => putTo(upload_url, contents.get(name)!);
        for (const name of names) expect((await put(name, uploads[name]!)).status).toBe(200);
      };
      const few = [...contents.keys()].slice(0, 8);
      await bring(few);
      // More uploads than one listing returns, so that the background poll finds some of them.
      for (const _ of numbered(6)) {
        const before = listings();
        await Promise.all(numbered(20).map(() => api.status(id)));
        expect(listings() - before).toBeLessThanOrEqual(20);
      }
      await eventually(async () => ((await api.status(id)).body.files.length === few.length ? true : undefined));
      const ofObject = few.map((name) => readsOf(new URL(uploads[name]!.upload_url).pathname).length);
      expect(ofObject).toEqual(few.map(() => 1));

      // Without pending uploads, the store is not polled.
      await api.request('DELETE', `/${id}`);
      const done = await api.newDataset();
      await api.upload(done, 'a.txt', 'a');
      for (const _ of numbered(5)) await api.status(done);
      expect(proxy.requests('GET', 'list-type=2').filter(({ path }) => path.includes(done))).toEqual([]);
    });

    describe.each([
      ['ahead', MINUTE_MS],
      ['behind', -MINUTE_MS],
    ])('an instance whose clock is a minute %s', (_, skewMs) => {
      const skewed = () => {
        const preload = `const { now } = Date; Date.now = () => now() + ${skewMs};
        const { timeOrigin } = performance; Object.defineProperty(performance, 'timeOrigin', { value: timeOrigin + ${skewMs} });
        globalThis.Date = class extends Date { constructor(...args) { if (args.length) super(...args); else super(Date.now()); } };`;
        return another({
          env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` },
          // A link that is off by a minute has expired, or is still valid.
          settings: { 'link-seconds': 40 },
        });
      };

      test('signs links that are valid as long as stated, and finalizes their uploads', async () => {
        const { api: at } = await skewed();
        const id = await at.newDataset();
        const image = await media.jpeg();
        const { body } = await at.links(id, { 'a.jpg': image.length });
        const { upload_url, expires_at } = body.uploads['a.jpg']!;
        const holdsMs = Date.parse(`${expires_at}Z`) - Date.now();
        expect(holdsMs).toBeGreaterThan(0);
        expect(holdsMs).toBeLessThanOrEqual(40_000);
        expect((await putTo(upload_url, image)).status).toBe(200);
        expect((await at.upload(id, 'a.txt', 'a dog')).status).toBe(200);
        const dataset = await finalized(id, at);
        expect(dataset.status).toBe('READY');
        expect((await api.status(id)).body).toEqual(dataset);
        const [newest] = (await api.list()).body.datasets;
        expect(newest?.id).toBe(id);
      });

      test('neither rejects the reservations of others nor takes over their leases', async () => {
        const id = await api.newDataset();
        const image = await media.jpeg();
        const url = await api.link(id, 'a.jpg', image.length);
        const { api: at } = await skewed();
        for (const client of [at, api]) expect((await client.status(id)).body.status).toBe('UPLOADING');
        await putTo(url, image);
        await at.upload(id, 'a.txt', 'a');
        const dataset = await finalized(id, at);
        expect([dataset.status, dataset.files.length]).toEqual(['READY', 2]);
        expect((await api.status(id)).body.status).toBe('READY');
      });
    });
  },
);
