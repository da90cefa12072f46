import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { proxiedForTest } from '../../harness/postgres.js';
import { type BreakingProxy, startProxy } from '../../harness/proxy.js';
import { checked, discardServer, eventually, serverUntil, startServer, type TestServer } from '../../harness/server.js';
import { newWorld, type World } from '../../harness/world.js';
import { sha256 } from '../../harness/sha256.js';

const SETTINGS = { 'caption-grace-seconds': 0, 'blob-grace-seconds': 0, 'lease-seconds': 2, 'stop-seconds': 2 };

const leftOut = whyNoPostgres() ?? whyNoS3();
const putTo = (url: string, body: Uint8Array | string) => fetch(url, { method: 'PUT', body: Buffer.from(body) });
const numbered = (count: number) => Array.from({ length: count }, (_, i) => i);

const title = `instances on one store${leftOut === undefined ? '' : `, left out: ${leftOut}`}`;
describe.skipIf(leftOut !== undefined)(title, () => {
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
    const victim = await serverUntil(onTestFinished, SETTINGS, { env: { ...env, DATABASE_URL: database.url } });
    await putTo(url, image);
    await new Api(victim.url, api.token).status(id);
    await eventually(() => readsOf(key)[0]?.status ?? undefined);
    await victim.stop('SIGKILL');

    await rm(survivor.dataFolder, { recursive: true });
    survivor = await startServer(SETTINGS, { env });
    api = new Api(survivor.url, api.token);
    const { body: before } = await api.status(id);
    expect([before.status, before.counts.pending]).toEqual(['UPLOADING', 1]);
    const dataset = await checked(api, id);
    expect([dataset.status, dataset.files[0]?.sha256]).toEqual(['READY', sha256(image)]);
    expect(readsOf(key).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('a poll costs the store one listing at the most, and each object one read', async () => {
    // No other instance, which would take over a lease that ends on a busy machine.
    await survivor.stop();
    const server = await serverUntil(onTestFinished, { ...SETTINGS, 'lease-seconds': 60 }, { env });
    const at = new Api(server.url, api.token);
    const id = await at.newDataset();
    const names = numbered(8).map((i) => `${i}.txt`);
    const sizes = Object.fromEntries([...names, 'pending.txt'].map((name) => [name, 7]));
    const { uploads } = (await at.links(id, sizes)).body;
    const urlOf = (name: string) => uploads[name]!.upload_url;
    const listings = () => proxy.requests('GET', 'list-type=2').filter(({ path }) => path.includes(id)).length;
    for (const name of names) expect((await putTo(urlOf(name), 'caption')).status).toBe(200);
    const before = listings();
    await Promise.all(numbered(40).map(() => at.status(id)));
    expect(listings() - before).toBeLessThanOrEqual(40);
    await eventually(async () => ((await at.status(id)).body.files.length === names.length ? true : undefined));
    const reads = names.map((name) => readsOf(new URL(urlOf(name)).pathname).length);
    expect(reads).toEqual(names.map(() => 1));

    // Without pending uploads, the store is not polled.
    await at.request('DELETE', `/${id}`);
    const done = await at.newDataset();
    await at.upload(done, 'a.txt', 'a');
    for (const _ of numbered(5)) await at.status(done);
    expect(proxy.requests('GET', 'list-type=2').filter(({ path }) => path.includes(done))).toEqual([]);
  });
});
