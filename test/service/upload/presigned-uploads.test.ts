import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { WireDatasetWithFiles } from '../../../src/api/schemas.js';
import { forEachConcurrent } from '../../../src/for-each-concurrent.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { whyNoS3 } from '../../harness/available.js';
import { ONLY_PROGRESS, trainyard } from '../../harness/command.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import {
  checked,
  discardServer,
  eventually,
  NO_HISTORY,
  startServer,
  temporaryFolder,
  type TestServer,
} from '../../harness/server.js';
import { newWorld, type World } from '../../harness/world.js';
import { sha256 } from '../../harness/sha256.js';

const SETTINGS = { 'caption-grace-seconds': 0, ...NO_HISTORY, 'blob-grace-seconds': 0 };
const putTo = (url: string, body: Uint8Array | string, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'PUT', body: Buffer.from(body), headers });

const leftOut = whyNoS3();
const title = `presigned uploads${leftOut === undefined ? '' : `, left out: ${leftOut}`}`;
describe.skipIf(leftOut !== undefined)(title, () => {
  let world: World;
  let auditLog: string;
  let server: TestServer;
  let api: Api;
  beforeAll(async () => {
    world = await newWorld('sqlite+presigned');
    auditLog = join(await temporaryFolder(), 'audit.jsonl');
    server = await startServer({ ...SETTINGS, 'audit-log': auditLog }, { env: world.env });
    api = await server.api();
  });
  afterAll(async () => {
    await discardServer(server);
    await world.discard();
  });

  /** Polls the status, as any client of the API does. */
  const finalized = (id: string): Promise<WireDatasetWithFiles> => checked(api, id);

  /** What the audit log says of an upload, once it does. */
  const audited = (dataset: string, filename: string) =>
    eventually(async () => {
      const lines = (await readFile(auditLog, 'utf8')).split('\n').filter((line) => line.includes('"file.upload"'));
      const entries = lines.map((line) => JSON.parse(line));
      return entries.find((entry) => entry.dataset === dataset && entry.filename === filename);
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
    expect((await putTo(captionUrl, 'a dog', { 'content-type': 'application/x-unknown' })).status).toBe(200);
    const dataset = await finalized(id);
    expect(dataset).toMatchObject({ status: 'READY', warnings: [] });
    expect(dataset.files.map((file) => [file.filename, file.sha256, file.content_type])).toEqual([
      ['dog 1.jpg', sha256(image), 'image/jpeg'],
      ['dog 1.txt', sha256('a dog'), 'text/plain; charset=utf-8'],
    ]);
    expect(await audited(id, 'dog 1.jpg')).toMatchObject({ outcome: 'done', upload: expect.any(String) });
    const read = (headers = {}) => api.raw('GET', `/${id}/files/dog%201.jpg`, { headers });
    const digestOf = async (read: Promise<Response>) => sha256(new Uint8Array(await (await read).arrayBuffer()));
    const digests = await Promise.all(Array.from({ length: 8 }, () => digestOf(read())));
    expect(digests).toEqual(digests.map(() => sha256(image)));
    // Each leaves its place to another. An account has 500.
    const known = { 'if-none-match': `"${sha256(image)}"` };
    await forEachConcurrent(Array(501).keys(), 8, async () => expect((await read(known)).status).toBe(304));
  });

  test('bytes that do not match the name make the dataset FAILED, a new link repairs it, and a link that was used or withdrawn changes nothing', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'a.txt', 'a caption');
    const html = media.damaged.html();
    await putTo(await api.link(id, 'a.jpg', html.length), html);
    const failed = await finalized(id);
    expect(failed).toMatchObject({ status: 'FAILED', error: { code: 'UPLOAD_REJECTED' } });
    expect(failed.error?.problems.map(({ code }) => code)).toContain('NOT_AN_IMAGE');
    expect(await audited(id, 'a.jpg')).toMatchObject({ outcome: 'failed', error: 'invalid_content' });
    const image = await media.jpeg({ seed: 1 });
    const url = await api.link(id, 'a.jpg', image.length);
    expect((await putTo(url, image)).status).toBe(200);
    const ready = await finalized(id);
    expect(ready.status).toBe('READY');

    const other = Buffer.from(image);
    other[other.length - 3]! ^= 1;
    expect((await putTo(url, other)).status).toBe(200);
    const withdrawn = await api.link(id, 'b.jpg', image.length);
    await api.request('DELETE', `/${id}/files/b.jpg`);
    expect((await putTo(withdrawn, image)).status).toBe(200);
    const read = await api.raw('GET', `/${id}/files/a.jpg`);
    expect([read.status, sha256(Buffer.from(await read.arrayBuffer()))]).toEqual([200, sha256(image)]);
    expect((await api.status(id)).body).toMatchObject({ status: 'READY', files: ready.files });
  });

  test('an upload that has arrived is stored, also if its client gets another link before it is found, which can still be used', async () => {
    const id = await api.newDataset();
    expect((await putTo(await api.link(id, 'a.txt', 5), 'a dog')).status).toBe(200);
    const next = await api.link(id, 'a.txt', 5);
    const storedAs = (text: string) =>
      eventually(async () => (await api.status(id)).body.files[0]?.sha256 === sha256(text) || undefined);
    await storedAs('a dog');
    expect((await putTo(next, 'a cat')).status).toBe(200);
    await storedAs('a cat');
  });

  test('bytes that were to replace a file that is gone are not stored, and the dataset says so', async () => {
    const id = await api.newDataset();
    const etag = `"${(await api.upload(id, 'a.txt', 'old')).body.sha256}"`;
    const { body } = await api.links(id, { 'a.txt': 3 }, { 'a.txt': etag });
    // This client does not know of the link.
    await api.request('DELETE', `/${id}/files/a.txt`, { headers: { 'if-match': etag } });
    expect((await putTo(body.uploads['a.txt']!.upload_url, 'new')).status).toBe(200);
    expect(await finalized(id)).toMatchObject({ files: [], error: { problems: [{ code: 'FILE_CHANGED' }] } });
  });

  test('the command line pushes and waits', async () => {
    const folder = await folderWith(await pairsOf(3), 'pushed');
    const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
    const pushed = await trainyard(['push', folder, '--json'], { env });
    expect([pushed.code, pushed.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    const { datasets } = (await api.list()).body;
    expect(datasets.find(({ name }) => name === 'pushed')).toMatchObject({ status: 'READY', counts: { images: 3 } });
  });

  test('an upload while no server runs is found after the next start', async () => {
    const id = await api.newDataset();
    const image = await media.jpeg();
    const { body } = await api.links(id, { 'a.jpg': image.length, 'a.txt': 1 });
    await server.stop('SIGKILL');
    await putTo(body.uploads['a.jpg']!.upload_url, image);
    await putTo(body.uploads['a.txt']!.upload_url, 'a');
    server = await startServer(SETTINGS, { dataFolder: server.dataFolder, env: world.env });
    api = await server.api();
    expect((await finalized(id)).status).toBe('READY');
  });
});

const otherTitle =
  'without a user that signs links, on Ceph, they lead to the service, and uploads through earlier ones are still found';
test.skipIf(whyNoS3() !== undefined)(otherTitle, async ({ skip }) => {
  const world = await newWorld('sqlite+presigned');
  const dataFolder = await temporaryFolder();
  onTestFinished(async () => {
    await rm(dataFolder, { recursive: true, force: true });
    await world.discard();
  });
  if (world.env.TEST_S3_CEPH_HOME === undefined) return skip('only Ceph is known to obey headers that are not signed');
  const before = await startServer(SETTINGS, { dataFolder, env: world.env });
  const readiness = async (url: string) => (await fetch(`${url}/readyz`)).json();
  expect(await readiness(before.url)).toMatchObject({ upload_links_to: 'bucket' });
  const api = await before.api();
  const earlier = await api.newDataset();
  const image = await media.jpeg();
  const { body } = await api.links(earlier, { 'a.jpg': image.length, 'a.txt': 5 });
  await before.stop();

  const server = await startServer(SETTINGS, {
    dataFolder,
    env: { ...world.env, TRAINYARD_PRESIGN_ACCESS_KEY_ID: '', TRAINYARD_PRESIGN_SECRET_ACCESS_KEY: '' },
  });
  onTestFinished(async () => void (await server.stop()));
  expect(server.output()).toMatch(/uploads through links pass through the service[^"]*TRAINYARD_PRESIGN_ACCESS_KEY_ID/);
  expect(await readiness(server.url)).toMatchObject({ upload_links_to: 'service' });
  const now = await server.api();
  for (const [name, bytes] of [
    ['a.jpg', image],
    ['a.txt', 'a dog'],
  ] as const) {
    expect((await putTo(body.uploads[name]!.upload_url, bytes)).status).toBe(200);
  }
  const dataset = await checked(now, earlier);
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
