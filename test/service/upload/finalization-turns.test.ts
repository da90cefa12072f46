import { expect, onTestFinished, test } from 'vitest';
import type { Api } from '../../harness/api.js';
import { whyNoS3 } from '../../harness/available.js';
import { startProxy } from '../../harness/proxy.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { newWorld } from '../../harness/world.js';

const CAPTIONS = 10;

test.skipIf(whyNoS3())(
  'uploads of one account whose objects are read slowly keep no other account waiting',
  async () => {
    const world = await newWorld('sqlite+presigned');
    onTestFinished(world.discard);
    const proxy = await startProxy(world.env.TEST_S3_ENDPOINT!);
    onTestFinished(proxy.close);
    const blobs = new URL(world.env.BLOBS_URL!);
    blobs.searchParams.set('endpoint', proxy.url);
    const env = { ...world.env, BLOBS_URL: blobs.href };
    const server = await startServer({ 'caption-grace-seconds': 0, 'blob-grace-seconds': 0 }, { env });
    onTestFinished(() => discardServer(server));
    const upload = async (api: Api, id: string, count: number) => {
      const names = Array.from({ length: count }, (_, i) => `${i}.txt`);
      const { body } = await api.links(id, Object.fromEntries(names.map((name) => [name, 5])));
      for (const { upload_url } of Object.values(body.uploads)) {
        expect((await fetch(upload_url, { method: 'PUT', body: 'a dog' })).status).toBe(200);
      }
    };
    const [slow, other] = [await server.api('slow'), await server.api('other')];
    const [slowId, otherId] = [await slow.newDataset(), await other.newDataset()];
    let goOn = () => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    let reads = 0;
    proxy.rule(async ({ method, pathname }) => {
      if (method !== 'GET' || !pathname.includes(`/${slowId}/`)) return undefined;
      reads++;
      await held;
      reads--;
      return undefined;
    });
    await upload(slow, slowId, CAPTIONS);
    await eventually(async () => {
      await slow.status(slowId);
      return reads > 0 || undefined;
    });
    await upload(other, otherId, 1);
    await eventually(async () => ((await other.status(otherId)).body.files.length === 1 ? true : undefined));
    expect([reads, (await slow.status(slowId)).body.files]).toEqual([4, []]);
    goOn();
    await eventually(async () => ((await slow.status(slowId)).body.files.length === CAPTIONS ? true : undefined));
  },
);
