import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { WireDatasetWithFiles } from '../../../src/api/schemas.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { ONLY_PROGRESS, startCommand, trainyard } from '../../harness/command.js';
import { newRoot } from '../../harness/mounting.js';
import { startProxy } from '../../harness/proxy.js';
import {
  discardServer,
  eventually,
  NO_HISTORY,
  startServer,
  temporaryFolder,
  type TestServer,
} from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';
import { newWorld, type World } from '../../harness/world.js';

const BACKENDS = [
  { name: 'sqlite+presigned', leftOut: whyNoS3() },
  { name: 'postgres+presigned', leftOut: whyNoPostgres() ?? whyNoS3() },
];

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
const putTo = (url: string, body: Uint8Array | string, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'PUT', body: Buffer.from(body), headers });

for (const { name, leftOut } of BACKENDS) {
  const title = `on ${name}${leftOut === undefined ? '' : `, left out: ${leftOut}`}`;
  const tags = name.startsWith('postgres') ? ['long'] : [];
  describe.skipIf(leftOut !== undefined)(title, { tags }, () => {
    let world: World;
    let server: TestServer;
    let api: Api;
    beforeAll(async () => {
      world = await newWorld(name);
      server = await startServer(
        { 'caption-grace-seconds': 0, ...NO_HISTORY, 'blob-grace-seconds': 0 },
        { env: world.env },
      );
      api = await server.api();
    });
    afterAll(async () => {
      await discardServer(server);
      await world.discard();
    });

    /** Polls the status, as any client of the API does. */
    const finalized = (id: string, as = api): Promise<WireDatasetWithFiles> =>
      eventually(async () => {
        const { body } = await as.status(id);
        return body.status === 'UPLOADING' ? undefined : body;
      });

    test('a batch goes directly to the bucket, is UPLOADING until all files are checked, then READY', async () => {
      const id = await api.newDataset();
      const image = await media.jpeg();
      const sizes = { 'dog 1.jpg': image.length, 'dog 1.txt': 5 };
      const { body } = await api.links(id, sizes);
      const { upload_url: imageUrl, headers, expires_at } = body.uploads['dog 1.jpg']!;
      expect(new URL(imageUrl).origin).toBe(new URL(world.env.TEST_S3_ENDPOINT!).origin);
      expect(headers).toEqual({});
      expect(Date.parse(`${expires_at}Z`)).toBeLessThanOrEqual(Date.now() + 3_600_000);
      // Without a content type, and with an unknown one.
      expect((await putTo(imageUrl, image)).status).toBe(200);
      expect((await api.status(id)).body.status).toBe('UPLOADING');
      const captionUrl = body.uploads['dog 1.txt']!.upload_url;
      expect((await putTo(captionUrl, 'a dog', { 'content-type': 'application/x-whatever' })).status).toBe(200);
      const dataset = await finalized(id);
      expect(dataset).toMatchObject({ status: 'READY', warnings: [] });
      expect(dataset.files.map((file) => [file.filename, file.sha256, file.content_type])).toEqual([
        ['dog 1.jpg', sha256(image), 'image/jpeg'],
        ['dog 1.txt', sha256('a dog'), 'text/plain; charset=utf-8'],
      ]);
      const bytes = await (await api.raw('GET', `/${id}/files/dog%201.jpg`)).arrayBuffer();
      expect(sha256(Buffer.from(bytes))).toBe(sha256(image));
    });

    test('bytes that do not match the name make the dataset FAILED, and a new link repairs it', async () => {
      const id = await api.newDataset();
      await api.upload(id, 'a.txt', 'a caption');
      const html = media.damaged.html();
      await putTo(await api.link(id, 'a.jpg', html.length), html);
      const failed = await finalized(id);
      expect(failed).toMatchObject({ status: 'FAILED', error: { code: 'UPLOAD_REJECTED' } });
      expect(failed.error?.problems.map(({ code }) => code)).toContain('NOT_AN_IMAGE');
      const good = await media.jpeg();
      await putTo(await api.link(id, 'a.jpg', good.length), good);
      expect((await finalized(id)).status).toBe('READY');
    });

    test('other bytes of the same size through a used link change nothing that is stored', async () => {
      const id = await api.newDataset('replayed');
      const image = await media.jpeg({ seed: 1 });
      const url = await api.link(id, 'a.jpg', image.length);
      expect((await putTo(url, image)).status).toBe(200);
      await api.upload(id, 'a.txt', 'a');
      const ready = await finalized(id);
      expect(ready.status).toBe('READY');
      const other = Buffer.from(image);
      other[other.length - 3]! ^= 1;
      expect((await putTo(url, other)).status).toBe(200);
      const read = await api.raw('GET', `/${id}/files/a.jpg`);
      expect([read.status, sha256(Buffer.from(await read.arrayBuffer()))]).toEqual([200, sha256(image)]);
      expect((await api.status(id)).body).toMatchObject({ status: 'READY', files: ready.files });
      const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
      const root = await newRoot();
      expect((await trainyard(['mount', id, '--into', root], { env })).code).toBe(0);
      expect(sha256(readFileSync(join(root, 'replayed', 'a.jpg')))).toBe(sha256(image));
    });

    test('an upload while no server runs is found after the next start, and its dataset appears in the mount root', async () => {
      const root = await newRoot();
      const dataFolder = await temporaryFolder();
      const own = await newWorld(name);
      onTestFinished(async () => {
        await rm(dataFolder, { recursive: true, force: true });
        await own.discard();
      });
      const first = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder, env: own.env });
      const as = await first.api();
      const id = await as.newDataset('appears');
      const image = await media.jpeg();
      const { body } = await as.links(id, { 'a.jpg': image.length, 'a.txt': 1 });
      await first.stop('SIGKILL');
      await putTo(body.uploads['a.jpg']!.upload_url, image);
      await putTo(body.uploads['a.txt']!.upload_url, 'a');
      const settings = { 'mount-root': root, 'caption-grace-seconds': 0 };
      const second = await startServer(settings, { dataFolder, env: own.env });
      onTestFinished(async () => void (await second.stop()));
      expect((await finalized(id, await second.api())).status).toBe('READY');
      const mounted = join(root, 'appears');
      const pairs = await eventually(() => (existsSync(mounted) ? trainerWalk(mounted) : undefined));
      expect(pairs.map(({ caption }) => caption)).toEqual(['a']);
    });

    test('the command line pushes, waits and mounts through it, and resumes after an interruption', async () => {
      const folder = await newRoot();
      await mkdir(join(folder, 'pairs'));
      for (let i = 0; i < 12; i++) {
        await writeFile(join(folder, 'pairs', `${i} é.jpg`), await media.jpeg({ seed: i }));
        await writeFile(join(folder, 'pairs', `${i} é.txt`), `picture ${i}`);
      }
      const proxy = await startProxy(server.url);
      onTestFinished(() => proxy.close());
      const env = { TRAINYARD_URL: proxy.url, TRAINYARD_TOKEN: api.token };
      let hasReserved = false;
      proxy.rule(({ path }) => {
        hasReserved ||= path.endsWith('/get-upload-endpoint');
        return undefined;
      });
      const dataset = `pushed ${name.replace('+', ' ')}`;
      const first = startCommand(['push', join(folder, 'pairs'), '--name', dataset, '--concurrency', '1'], { env });
      await eventually(() => hasReserved || undefined);
      first.process.kill('SIGINT');
      await first.ended;
      const again = await trainyard(['push', join(folder, 'pairs'), '--name', dataset, '--json'], { env });
      expect([again.code, again.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
      const root = await newRoot();
      expect((await trainyard(['mount', dataset, '--into', root], { env })).code).toBe(0);
      expect(trainerWalk(join(root, dataset))).toHaveLength(12);
    });
  });
}

test.skipIf(whyNoS3() !== undefined)(
  'without a user that signs links, on Ceph, they lead to the service, and uploads through earlier ones are still found',
  async ({ skip }) => {
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

    const server = await startServer(settings, {
      dataFolder,
      env: { ...world.env, TRAINYARD_PRESIGN_ACCESS_KEY_ID: '', TRAINYARD_PRESIGN_SECRET_ACCESS_KEY: '' },
    });
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
  },
);
