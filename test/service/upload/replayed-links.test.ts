import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Api } from '../../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { discardServer, eventually, NO_HISTORY, startServer, type TestServer } from '../../harness/server.js';
import { newWorld, type World } from '../../harness/world.js';
import { keysBelow } from '../../harness/s3.js';

/** Long enough to use a link twice, even on a busy machine. */
const LINK_SECONDS = 20;

const putTo = (url: string, body: string) => fetch(url, { method: 'PUT', body });

const leftOut = whyNoPostgres() ?? whyNoS3();

describe.skipIf(leftOut !== undefined).each(['sqlite+presigned', 'postgres+presigned'])('on %s', (name) => {
  let world: World;
  let server: TestServer;
  let api: Api;
  beforeAll(async () => {
    world = await newWorld(name);
    // The lease decides how often cleanup runs.
    const settings = { 'link-seconds': LINK_SECONDS, 'lease-seconds': 1, ...NO_HISTORY, 'blob-grace-seconds': 0 };
    server = await startServer(settings, { env: world.env });
    api = await server.api();
  });
  afterAll(async () => {
    await discardServer(server);
    await world.discard();
  });

  test('an object that a used link creates after its file has gone is removed once the link has ended', async () => {
    const newFile = async () => {
      const id = await api.newDataset();
      const url = await api.link(id, 'a.txt', 5);
      expect((await putTo(url, 'a dog')).status).toBe(200);
      await eventually(async () => ((await api.status(id)).body.files.length === 1 ? true : undefined));
      return { id, url };
    };
    const ends: ((id: string) => Promise<{ status: number }>)[] = [
      (id) => api.request('DELETE', `/${id}/files/a.txt`),
      (id) => api.upload(id, 'a.txt', 'another dog'),
      (id) => api.request('DELETE', `/${id}`),
    ];
    const replayed = await Promise.all(
      ends.map(async (end) => {
        const { id, url } = await newFile();
        // On a busy machine, the lease of an upload may end before it does.
        await eventually(async () => ((await end(id)).status < 300 ? true : undefined));
        const isThere = async () => (await keysBelow(world.env.BLOBS_URL!, `${id}/`)).some((key) => url.includes(key));
        // Not before cleanup has deleted the first object.
        await eventually(async () => ((await isThere()) ? undefined : true));
        expect((await putTo(url, 'a cat')).status).toBe(200);
        expect(await isThere()).toBe(true);
        return isThere;
      }),
    );
    for (const isThere of replayed) await eventually(async () => ((await isThere()) ? undefined : true));
  });
});
