import { rm } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { whyNoS3 } from '../../harness/available.js';
import { eventually, NO_HISTORY, startServer, temporaryFolder } from '../../harness/server.js';
import { newWorld } from '../../harness/world.js';

const leftOut = whyNoS3();

/** Without a user for links, so that the service would sign them itself. */
const NO_LINK_USER = { TRAINYARD_PRESIGN_ACCESS_KEY_ID: '', TRAINYARD_PRESIGN_SECRET_ACCESS_KEY: '' };

const putTo = (url: string, body: Uint8Array | string, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'PUT', body: Buffer.from(body), headers });

describe.skipIf(leftOut !== undefined)(
  `the user that signs links${leftOut === undefined ? '' : `, left out: ${leftOut}`}`,
  () => {
    test('without one, on Ceph, links lead to the service, and uploads through earlier ones are still found', async ({
      skip,
    }) => {
      const world = await newWorld('sqlite+presigned');
      const dataFolder = await temporaryFolder();
      onTestFinished(async () => {
        await rm(dataFolder, { recursive: true, force: true });
        await world.discard();
      });
      if (world.env.TEST_S3_CEPH_HOME === undefined)
        return skip('only Ceph is known to obey headers that are not signed');
      const settings = { 'caption-grace-seconds': 0, ...NO_HISTORY, 'blob-grace-seconds': 0 };
      const before = await startServer(settings, { dataFolder, env: world.env });
      const readiness = async (url: string) => (await fetch(`${url}/readyz`)).json();
      expect(await readiness(before.url)).toMatchObject({ upload_links_to: 'bucket' });
      const api = await before.api();
      const earlier = await api.newDataset();
      const image = await media.jpeg();
      const { body } = await api.links(earlier, { 'a.jpg': image.length, 'a.txt': 5 });
      await before.stop();

      const server = await startServer(settings, { dataFolder, env: { ...world.env, ...NO_LINK_USER } });
      onTestFinished(async () => void (await server.stop()));
      expect(server.output()).toMatch(
        /uploads through links pass through the service[^"]*TRAINYARD_PRESIGN_ACCESS_KEY_ID/,
      );
      expect(await readiness(server.url)).toMatchObject({ upload_links_to: 'service' });
      const now = await server.api();
      for (const [name, bytes] of [
        ['a.jpg', image],
        ['a.txt', 'a dog'],
      ] as const) {
        expect((await putTo(body.uploads[name]!.upload_url, bytes)).status).toBe(200);
      }
      const dataset = await eventually(async () => {
        const answer = (await now.status(earlier)).body;
        return answer.status === 'UPLOADING' ? undefined : answer;
      });
      expect(dataset).toMatchObject({ status: 'READY', files: [{ filename: 'a.jpg' }, { filename: 'a.txt' }] });

      const id = await now.newDataset();
      const url = await now.link(id, 'b.txt', 5);
      expect(new URL(url).origin).toBe(server.url);
      const copied = await putTo(url, 'a cat', {
        'x-amz-copy-source': `/${new URL(world.env.BLOBS_URL!).hostname}/secret`,
      });
      expect(copied.status).toBe(200);
      expect(await (await now.raw('GET', `/${id}/files/b.txt`)).text()).toBe('a cat');
    });
  },
);
