import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { whyNoS3 } from '../../harness/available.js';
import { Follower } from '../../harness/follower.js';
import { type BreakingProxy, type Fault, startProxy } from '../../harness/proxy.js';
import { checked, discardServer, eventually, startServer, type TestServer } from '../../harness/server.js';
import { newWorld, type World } from '../../harness/world.js';
import { sha256 } from '../../harness/sha256.js';

const leftOut = whyNoS3();

const shortened: Fault = { alter: ({ headers, body }) => ({ headers, body: body.subarray(0, -3) }) };
const title = `a store that returns other bytes${leftOut === undefined ? '' : `, left out: ${leftOut}`}`;
describe.skipIf(leftOut !== undefined)(title, () => {
  let world: World;
  let proxy: BreakingProxy;
  let server: TestServer;
  let api: Api;
  beforeAll(async () => {
    world = await newWorld('sqlite+presigned');
    proxy = await startProxy(world.env.TEST_S3_ENDPOINT!);
    const blobs = new URL(world.env.BLOBS_URL!);
    blobs.searchParams.set('endpoint', proxy.url);
    const settings = { 'caption-grace-seconds': 0, 'blob-grace-seconds': 0 };
    server = await startServer(settings, { env: { ...world.env, BLOBS_URL: blobs.href } });
    api = await server.api();
  });
  afterEach(() => proxy.rule());
  afterAll(async () => {
    await discardServer(server);
    await proxy.close();
    await world.discard();
  });

  /** Uploads a file through a link to the bucket, and waits for the verdict of the service. */
  const upload = async (id: string, filename: string, bytes: Buffer, headers: Record<string, string> = {}) => {
    const url = await api.link(id, filename, bytes.length);
    expect((await fetch(url, { method: 'PUT', body: new Uint8Array(bytes), headers })).status).toBe(200);
    return checked(api, id);
  };
  const shortenReads = () =>
    proxy.rule(({ method, path }) => (method === 'GET' && !path.includes('list-type') ? shortened : undefined));
  const newPair = async () => {
    const id = await api.newDataset();
    const image = await media.jpeg();
    await api.upload(id, 'a.jpg', image);
    await api.upload(id, 'a.txt', 'a dog');
    return { id, image };
  };

  test('an upload of which the store returns too few bytes makes the dataset FAILED with the reason', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'a.txt', 'a dog');
    shortenReads();
    const { status, error } = await upload(id, 'a.jpg', await media.jpeg());
    const problem = error?.problems.find(({ filename }) => filename === 'a.jpg');
    expect([status, problem]).toEqual(['FAILED', expect.objectContaining({ code: 'WRONG_SIZE' })]);
  });

  test('a download of which the store returns too few bytes breaks off before its announced end, and is logged', async () => {
    const { id, image } = await newPair();
    const ask = () => api.raw('GET', `/${id}/files/a.jpg`);
    expect((await (await ask()).arrayBuffer()).byteLength).toBe(image.length);
    shortenReads();
    await expect(ask().then((response) => response.arrayBuffer())).rejects.toThrow();
    const line = new RegExp(`"level":40,.*${id}/files/a.jpg","error":"bytes_replaced",.*an answer broke off`);
    await eventually(() => line.test(server.output()) || undefined);
  });

  test('an object that its client has encrypted with a key of its own is rejected with the reason', async () => {
    const id = await api.newDataset();
    const key = Buffer.alloc(32, 'k');
    const prefix = 'x-amz-server-side-encryption-customer';
    const { status, error } = await upload(id, 'a.jpg', await media.jpeg(), {
      [`${prefix}-algorithm`]: 'AES256',
      [`${prefix}-key`]: key.toString('base64'),
      [`${prefix}-key-md5`]: createHash('md5').update(key).digest('base64'),
    });
    expect(status).toBe('FAILED');
    expect(error?.problems.map(({ message }) => message).join()).toContain('the store does not return it');
  });

  test('an overwrite with damaged content is a warning about the file that stays, an event and a line of the log', async () => {
    const { id, image } = await newPair();
    const follower = new Follower(id, { instances: () => [server.url], token: api.token, first: 0 });
    onTestFinished(() => follower.stop());
    await follower.sees(({ status }) => status === 'READY');
    const bytes = media.damaged.html();
    const url = await api.link(id, 'a.jpg', bytes.length);
    await follower.sees(({ counts }) => counts.pending === 1);
    expect((await fetch(url, { method: 'PUT', body: new Uint8Array(bytes) })).status).toBe(200);
    await follower.sees(({ status, counts }) => status === 'READY' && counts.pending === 0);
    const { body } = await api.status(id);
    expect([body.status, body.files[0]?.sha256]).toEqual(['READY', sha256(image)]);
    const warning = { code: 'REPLACEMENT_REJECTED', filename: 'a.jpg' };
    expect(body.warnings).toEqual([expect.objectContaining(warning)]);
    expect(body.files[0]?.warnings).toEqual([expect.objectContaining(warning)]);
    expect(server.output()).toMatch(new RegExp(`"dataset":"${id}".*rejected an upload through a link to the bucket: `));
    // A good one replaces the file and its warning.
    const { warnings, files } = await upload(id, 'a.jpg', await media.jpeg({ seed: 3 }));
    expect([warnings, files.length]).toEqual([[], 2]);
  });
});
