import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireLinkStates, WireManifestLinks } from '../../src/api/pair-schemas.js';
import type { WireDatasetWithFiles, WireManifest } from '../../src/api/schemas.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { Follower } from '../harness/follower.js';
import { type Receiver, startReceiver } from '../harness/receiver.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

const TWELVE = Array.from({ length: 12 }, (_, i) => `pair_${String(i + 1).padStart(2, '0')}`);

let server: TestServer;
let api: Api;
let images: Buffer[];
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.0/8' });
  api = await server.api();
  images = await Promise.all([1, 2, 3].map((seed) => media.jpeg({ seed })));
});
afterAll(() => discardServer(server));

let names = 0;
async function create(role: 'training' | 'control' | 'mask', name = `${role}-${++names}`): Promise<string> {
  return (await api.json<{ id: string }>('POST', '', { name, role })).body.id;
}

const setLinks = (id: string, links: object) => api.json<WireLinkStates>('PUT', `/${id}/links`, links);
const statusOf = async (id: string, query = ''): Promise<WireDatasetWithFiles> => (await api.status(id, query)).body;

async function targetOf(stems: readonly string[]): Promise<string> {
  const id = await create('training');
  for (const stem of stems) await addPair(id, stem);
  return id;
}

async function addPair(id: string, stem: string): Promise<void> {
  await api.upload(id, `${stem}.jpg`, images[0]!);
  await api.upload(id, `${stem}.txt`, `the caption of ${stem}`);
}

async function linkedOf(role: 'control' | 'mask', stems: readonly string[]): Promise<string> {
  const id = await create(role);
  for (const stem of stems) await api.upload(id, `${stem}.jpg`, images[1]!);
  return id;
}

describe('twelve targets and eleven controls', () => {
  test('are FAILED and name the missing stem; the twelfth control makes them READY, for those who wait and who watch', async () => {
    const target = await targetOf(TWELVE);
    const control = await linkedOf('control', TWELVE.slice(0, 11));
    expect((await statusOf(target)).status).toBe('READY');
    const linked = await setLinks(target, { control_1: control });
    expect(linked.status).toBe(200);
    const failed = await statusOf(target);
    expect(failed).toMatchObject({
      status: 'FAILED',
      counts: { unpaired: 1 },
      error: {
        code: 'MISSING_CONTROL',
        problems: [{ code: 'MISSING_CONTROL', message: expect.stringMatching(/for 1 image of .*: pair_12\. Upload/) }],
      },
      links: { control_1: { dataset_id: control, role: 'control', status: 'READY', digest: expect.any(String) } },
    });
    expect(failed.links?.control_1).toMatchObject({
      missing: { count: 1, stems: ['pair_12'] },
      ...{ extra: { count: 0, stems: [] }, ambiguous: { count: 0, stems: [] } },
      ...{ misfit: { count: 0, stems: [] }, stretched: { count: 0, stems: [] } },
    });
    const listed = (await api.list()).body.datasets.find(({ id }) => id === target);
    expect(listed).toMatchObject({ status: 'FAILED', error: { code: 'MISSING_CONTROL', problems: [] } });

    const follower = new Follower(target, { instances: () => [server.url], token: api.token, first: 0 });
    await follower.sees(({ status }) => status === 'FAILED');
    await api.upload(control, 'pair_12.jpg', images[1]!);
    await follower.sees(({ status, counts }) => status === 'READY' && counts.unpaired === 0);
    await follower.stop();
    expect(await statusOf(target)).toMatchObject({ status: 'READY', counts: { unpaired: 0 }, warnings: [] });
  });

  test('are READY for a request that waits while a control is uploaded', async () => {
    const target = await targetOf(['a']);
    const control = await create('control');
    await setLinks(target, { control_1: control });
    const link = await api.link(control, 'a.jpg', images[1]!.length);
    expect((await statusOf(target)).status).toBe('UPLOADING');
    const waiting = statusOf(target, '?wait=30');
    expect((await fetch(link, { method: 'PUT', body: new Uint8Array(images[1]!) })).status).toBe(200);
    expect((await waiting).status).toBe('READY');
  });
});

describe('the status of a target', () => {
  test('depends on its linked datasets: it is FAILED with one that is, and names it', async () => {
    const [target, control] = [await targetOf(['a']), await linkedOf('control', ['a'])];
    await setLinks(target, { control_1: control });
    expect((await statusOf(target)).status).toBe('READY');
    await api.upload(control, 'b.jpg', 'not a picture');
    const { status, error, warnings } = await statusOf(target);
    expect([status, error?.code]).toEqual(['FAILED', 'LINKED_NOT_READY']);
    expect(error?.message).toContain('(control 1) is FAILED');
    const listed = (await api.list()).body.datasets.find(({ id }) => id === target);
    expect(listed?.error).toMatchObject({ code: 'LINKED_NOT_READY', message: expect.stringContaining('not READY') });
    await api.request('DELETE', `/${control}/files/b.jpg`);
    expect((await statusOf(target)).status).toBe('READY');
    expect(warnings).toEqual([]);
  });

  test('warns of controls without a target, and of masks of another aspect ratio', async () => {
    const target = await targetOf(['a']);
    const [control, mask] = [await linkedOf('control', ['a', 'b']), await create('mask')];
    await api.upload(mask, 'a.png', await media.png({ width: 96, height: 80 }));
    await setLinks(target, { control_1: control, mask });
    const { status, warnings, links } = await statusOf(target);
    expect(status).toBe('READY');
    const codes = warnings.map(({ code }) => code);
    expect(codes).toContain('EXTRA_CONTROL');
    expect(codes).toContain('MASK_SIZE');
    expect(links?.control_1?.extra).toEqual({ count: 1, stems: ['b'] });
    expect(links?.mask).toMatchObject({ misfit: { count: 0 }, stretched: { count: 1, stems: ['a'] } });
  });

  test('follows a restored revision of a control dataset, an undone change and a bulk removal', async () => {
    const [target, control] = [await targetOf(['a', 'b']), await linkedOf('control', ['a', 'b'])];
    await setLinks(target, { control_1: control });
    const { revisions } = (await api.request<{ revisions: { number: number }[] }>('GET', `/${control}/revisions`)).body;
    const unpaired = async () => (await statusOf(target)).counts.unpaired;
    await api.json('DELETE', `/${control}/files`, { filenames: ['a.jpg', 'b.jpg'] });
    expect(await unpaired()).toBe(2);
    await api.request('POST', `/${control}/revisions/${revisions[0]!.number}/restore`);
    expect(await unpaired()).toBe(0);
    await api.request('DELETE', `/${control}/files/b.jpg`);
    expect(await unpaired()).toBe(1);
    const latest = (await api.request<{ revisions: { number: number }[] }>('GET', `/${control}/revisions`)).body;
    await api.request('POST', `/${control}/revisions/${latest.revisions[0]!.number}/undo`);
    expect(await unpaired()).toBe(0);
  });
});

describe('the digest of a target', () => {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const manifestOf = async (id: string, query = ''): Promise<WireManifest> =>
    (await api.request<WireManifest>('GET', `/${id}/manifest${query}`)).body;

  test('covers its files and those of its linked datasets, and finds the revisions of that moment', async () => {
    const [target, control, mask] = [
      await targetOf(['a']),
      await linkedOf('control', ['a']),
      await linkedOf('mask', ['a']),
    ];
    const own = (await statusOf(target)).digest;
    await setLinks(target, { mask, control_1: control });
    const before = await manifestOf(target);
    const { control_1: depth, mask: masks } = before.links as WireManifestLinks;
    expect(depth).toMatchObject({ dataset_id: control, digest: (await statusOf(control)).digest });
    expect(masks).toMatchObject({ dataset_id: mask, digest: (await statusOf(mask)).digest });
    expect(before.files_digest).toBe(own);
    expect(before.digest).toBe(sha256(`${own}  files\n${depth?.digest}  control_1\n${masks?.digest}  mask\n`));
    expect(await statusOf(target)).toMatchObject({ digest: before.digest, files_digest: own });

    // A pinned revision is closed, so that the next change begins another.
    await api.json('PUT', `/${control}/revisions/${depth?.revision}/pin`, {});
    await api.json('PUT', `/${target}/revisions/${before.revision}/pin`, {});
    await api.upload(control, 'a.jpg', images[2]!);
    await api.upload(target, 'a.txt', 'another caption');
    const after = await manifestOf(target);
    expect(after.digest).not.toBe(before.digest);
    const found = await manifestOf(target, `?digest=${before.digest}`);
    expect(found).toMatchObject({
      digest: before.digest,
      files_digest: own,
      revision: before.revision,
      status: 'READY',
    });
    expect(found.files).toEqual(before.files);
    expect(found.links).toEqual(before.links);
    // A digest from before the links.
    expect(await manifestOf(target, `?digest=${own}`)).toMatchObject({ digest: own, revision: before.revision });
    expect((await api.request('GET', `/${target}/manifest?digest=${'0'.repeat(64)}`)).status).toBe(404);
  });
});

describe('webhooks', () => {
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await startReceiver();
  });
  afterAll(() => receiver.close());

  test('report that a target is READY when its control arrives, and again when the control is replaced', async () => {
    const own = await server.api('with a webhook');
    const createOwn = async (name: string, role: string) =>
      (await own.json<{ id: string }>('POST', '', { name, role })).body.id;
    const [target, control] = [await createOwn('railway', 'training'), await createOwn('depth', 'control')];
    await own.upload(target, 'a.jpg', images[0]!);
    await own.upload(target, 'a.txt', 'a caption');
    await own.upload(control, 'z.jpg', images[1]!);
    await own.json('PUT', `/${target}/links`, { control_1: control });
    await own.json('POST', '/webhooks', { url: receiver.url });
    const eventsOf = (count: number) =>
      eventually(() => {
        const events = receiver.events().filter(({ data }) => data.id === target);
        return events.length >= count ? events : undefined;
      });
    await own.upload(control, 'a.jpg', images[1]!);
    const [ready] = await eventsOf(1);
    expect(ready).toMatchObject({ type: 'dataset.ready', data: { id: target, status: 'READY' } });
    await own.upload(control, 'a.jpg', images[2]!);
    const [, again] = await eventsOf(2);
    expect(again).toMatchObject({ type: 'dataset.ready', data: { id: target } });
    expect(again?.data.digest).not.toBe(ready?.data.digest);
    await own.request('DELETE', `/${control}/files/a.jpg`);
    expect((await eventsOf(3))[2]).toMatchObject({
      type: 'dataset.failed',
      data: { error: { code: 'MISSING_CONTROL' } },
    });
  });
});
