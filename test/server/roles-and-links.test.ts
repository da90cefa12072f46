import { describe, expect, test } from 'vitest';
import type { WireDataset, WireLinkStates, WireManifest, WireManifestLinks } from '../../src/api/schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { Api, put } from '../harness/api.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';
import { sha256 } from '../harness/sha256.js';

const server = await sharedServer();
const api = await server.api('roles');
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
const images = await Promise.all([1, 2, 3].map((seed) => media.jpeg({ seed })));
const image = images[0]!;

let names = 0;
const newName = (word: string) => `${word}-${++names}`;
const create = async (word: string, role?: 'training' | 'control' | 'mask') =>
  client.create(newName(word), role === undefined ? {} : { role });
const createThree = async () =>
  [await create('railway'), await create('depth', 'control'), await create('secret-mask', 'mask')] as const;
const change = (id: string, changes: unknown, as = api) => as.json<WireDataset>('PATCH', `/${id}`, changes);
const setLinks = (id: string, links: unknown, as = api) => as.json<WireLinkStates>('PUT', `/${id}/links`, links);

test('a role is given at creation, is in each answer, and decides whether captions are needed', async () => {
  const control = await create('depth', 'control');
  const plain = await api.json<WireDataset>('POST', '', { role: null });
  expect([control.role, plain.body.role]).toEqual(['control', 'training']);
  const page = await client.page({ limit: 100, role: 'control' });
  expect([...new Set(page.datasets.map(({ role }) => role))]).toEqual(['control']);
  expect(page.datasets.map(({ id }) => id)).toContain(control.id);
  expect((await api.list('?role=other')).status).toBe(422);
  expect((await api.json('POST', '', { role: 'target' })).status).toBe(422);

  const { id } = control;
  await api.upload(id, 'a.jpg', image);
  const ready = await client.status(id);
  const counts = { images: 1, uncaptioned: 0 };
  expect(ready).toMatchObject({ role: 'control', status: 'READY', counts, warnings: [] });
  expect((await change(id, { role: 'training' })).body).toMatchObject({
    role: 'training',
    status: 'FAILED',
    counts: { uncaptioned: 1 },
    error: { code: 'MISSING_CAPTION' },
  });
  await change(id, { role: 'mask' });
  expect((await client.manifest(id)).digest).toBe(ready.digest);
});

describe('a rename', () => {
  test('keeps the id, the files and the history, and everything that has the id; it is an event', async () => {
    const { id, updated_at } = await create('dogs');
    await api.upload(id, 'a.jpg', image);
    await api.upload(id, 'a.txt', 'a dog');
    // A job adds a placeholder to the image.
    await eventually(async () => (await client.status(id)).files[0]?.thumbhash);
    const before = await client.status(id);
    const share = await client.shares.make(id);
    const events = client.allEvents();
    await events.next();
    const name = newName('hounds');
    const { status, body } = await change(id, { name: `  ${name} ` });
    expect([status, body]).toMatchObject([200, { id, name, role: 'training', status: 'READY', counts: before.counts }]);
    expect(body.updated_at > updated_at).toBe(true);
    expect((await events.next()).value).toMatchObject({ type: 'dataset', dataset: { id, name } });
    await events.return(undefined);
    const after = await client.status(id);
    expect(after).toEqual({ ...before, name, updated_at: body.updated_at });
    expect((await new Api(server.url, share.secret).status(id)).body.name).toBe(name);
    // The same again is no change.
    expect((await change(id, { name, role: 'training' })).body.updated_at).toBe(body.updated_at);
  });

  test('that is not possible is rejected', async () => {
    const [{ id, name }, other] = [await create('one'), await create('two')];
    const stranger = await server.api('stranger');
    for (const [answer, code] of [
      [await change(id, {}), 422002],
      [await change(id, { name: null }), 422002],
      [await change(id, { role: 'other' }), 422002],
      [await change(id, { name: 'a', color: 'red' }), 422002],
      [await change(id, { name: 'a/b' }), 422003],
      [await change(id, { name: other.name }), 409001],
      [await change(id, { name: 'x' }, stranger), 404001],
      [await change('none', { name: 'x' }), 404001],
    ] as const) {
      expect(answer.body.error_code).toBe(code);
    }
    expect((await client.status(id)).name).toBe(name);
  });
});

describe('links', () => {
  test('are set by name or id, and read with the status of both datasets', async () => {
    const [target, depth, mask] = await createThree();
    const { status, body } = await setLinks(target.id, { control_1: depth.name, mask: mask.id, control_2: null });
    expect([status, Object.keys(body.links)]).toEqual([200, ['control_1', 'mask']]);
    const link = { dataset_id: depth.id, name: depth.name, role: 'control', status: 'DRAFT' };
    expect(body.links.control_1).toMatchObject(link);
    expect(body.links.control_1?.missing).toEqual({ count: 0, stems: [] });
    expect(await client.pairs.links(target.id)).toEqual(body);
    expect((await client.status(target.id)).links).toEqual(body.links);
    expect((await client.status(depth.id)).linked_from).toEqual([{ id: target.id, name: target.name }]);
    expect(await client.pairs.setLinks(target.id, {})).toMatchObject({ links: {} });
    expect(await client.status(depth.id)).not.toHaveProperty('linked_from');
    expect(await client.status(target.id)).not.toHaveProperty('links');
  });

  test('that are not possible are rejected, each with the reason', async () => {
    const [target, depth, mask] = await createThree();
    const other = await create('yard');
    const training = `"${other.name}" has the role training, and can't be the control 1. To make it a control dataset, run: trainyard role ${other.name} control`;
    for (const [id, links, code, message] of [
      [target.id, { control_1: other.id }, 409006, training],
      [target.id, { mask: depth.id }, 409006, /the mask/],
      [depth.id, { mask: mask.id }, 409006, /only training/],
      [target.id, { control_1: depth.id, control_2: 'nowhere' }, 404001, /control 2 .*"nowhere"/],
      [target.id, { control_1: depth.id, control_2: depth.name }, 422002, /control_2/],
      [target.id, { control_1: target.id }, 422002, /control_1/],
      [target.id, { control_2: depth.id }, 422002, /control_2/],
      [target.id, { control_4: depth.id }, 422002, /control_4/],
      ['none', {}, 404001, /none/],
    ] as const) {
      const { error_code, error_message, detail } = (await setLinks(id, links)).body;
      expect([error_code, `${error_message} ${JSON.stringify(detail)}`]).toEqual([
        code,
        expect.stringMatching(message),
      ]);
    }
    expect(await client.pairs.links(target.id)).toEqual({ links: {}, status: 'DRAFT' });
  });

  test('of a token that is bound to datasets lead only to these', async () => {
    const [target, depth, mask] = await createThree();
    const bound = new Api(server.url, (await client.tokens.make({ datasets: [target.id, depth.id] })).secret);
    expect((await setLinks(target.id, { mask: mask.id }, bound)).body.error_code).toBe(404001);
    expect((await setLinks(target.id, { control_1: depth.name }, bound)).status).toBe(200);
    const other = await create('yard');
    await client.pairs.setLinks(other.id, { control_1: depth.id });
    expect((await client.status(depth.id)).linked_from).toHaveLength(2);
    expect((await bound.status(depth.id)).body.linked_from).toEqual([{ id: target.id, name: target.name }]);
  });

  test('are not in the answers to a share, which tell only whether there are some', async () => {
    const [target, depth, mask] = await createThree();
    await api.upload(target.id, 'a.jpg', image);
    await api.upload(target.id, 'a.txt', 'a wagon');
    await api.upload(depth.id, 'b.jpg', image);
    const shared = new Api(server.url, (await client.shares.make(target.id)).secret);
    const sharedDepth = new Api(server.url, (await client.shares.make(depth.id)).secret);
    expect((await shared.status(target.id)).body).not.toHaveProperty('links');
    await client.pairs.setLinks(target.id, { control_1: depth.id, mask: mask.id });
    const { body } = await shared.status(target.id);
    expect(body).toMatchObject({ status: 'FAILED', links: {}, warnings: [], counts: { unpaired: 2 } });
    expect(body.error).toMatchObject({ code: 'MISSING_CONTROL', problems: [] });
    const pairs = (await shared.request('GET', `/${target.id}/pairs`)).body;
    expect(pairs).toEqual({ links: {}, status: 'FAILED' });
    const manifest = (await shared.manifest(target.id)).body;
    const ofTarget = JSON.stringify([body, pairs, manifest, (await shared.list()).body]);
    for (const { id, name } of [depth, mask]) expect(ofTarget).not.toMatch(new RegExp(`${id}|${name}`));
    const ofDepth = JSON.stringify((await sharedDepth.status(depth.id)).body);
    for (const { id, name } of [target, mask]) expect(ofDepth).not.toMatch(new RegExp(`${id}|${name}`));
  });
});

async function targetOf(stems: readonly string[]): Promise<string> {
  const { id } = await create('target');
  for (const stem of stems) {
    await api.upload(id, `${stem}.jpg`, image);
    await api.upload(id, `${stem}.txt`, `the caption of ${stem}`);
  }
  return id;
}

async function linkedOf(role: 'control' | 'mask', stems: readonly string[]): Promise<string> {
  const { id } = await create(role, role);
  for (const stem of stems) await api.upload(id, `${stem}.jpg`, images[1]!);
  return id;
}

test('a target is FAILED and names the stem without a control, and READY for those who wait when it arrives', async () => {
  const target = await targetOf(['pair_1', 'pair_2']);
  const control = await linkedOf('control', ['pair_1']);
  expect((await client.status(target)).status).toBe('READY');
  await setLinks(target, { control_1: control });
  const failed = await client.status(target);
  const message = expect.stringMatching(/for 1 image of .*: pair_2\. Upload/);
  expect(failed).toMatchObject({
    status: 'FAILED',
    counts: { unpaired: 1 },
    error: { code: 'MISSING_CONTROL', problems: [{ code: 'MISSING_CONTROL', message }] },
    links: { control_1: { dataset_id: control, role: 'control', status: 'READY', digest: expect.any(String) } },
  });
  expect(failed.links?.control_1?.missing).toEqual({ count: 1, stems: ['pair_2'] });
  const listed = (await api.list()).body.datasets.find(({ id }) => id === target);
  expect(listed).toMatchObject({ status: 'FAILED', error: { code: 'MISSING_CONTROL', problems: [] } });

  const link = await api.link(control, 'pair_2.jpg', images[1]!.length);
  expect((await client.status(target)).status).toBe('UPLOADING');
  const waiting = api.status(target, '?wait=30');
  expect((await put(link, images[1]!)).status).toBe(200);
  expect((await waiting).body).toMatchObject({ status: 'READY', counts: { unpaired: 0 }, warnings: [] });

  for (const [name, height] of [
    ['pair_1.jpg', 63],
    ['pair_2.jpg', 99],
  ] as const)
    await api.upload(control, name, await media.jpeg({ width: 640, height }));
  const named = (...stems: string[]) => ({ count: stems.length, stems });
  const proof = { misfit: named('pair_1'), stretched: named('pair_2'), missing: named(), extra: named() };
  expect((await client.pairs.links(target)).links.control_1).toMatchObject(proof);
});

test('the digest of a target covers its files and those of its linked datasets, and finds the revisions of that moment', async () => {
  const manifestOf = async (id: string, query = ''): Promise<WireManifest> =>
    (await api.request<WireManifest>('GET', `/${id}/manifest${query}`)).body;
  const [target, control, mask] = [
    await targetOf(['a']),
    await linkedOf('control', ['a']),
    await linkedOf('mask', ['a']),
  ];
  const own = (await client.status(target)).digest;
  await setLinks(target, { mask, control_1: control });
  const before = await manifestOf(target);
  const { control_1: depth, mask: masks } = before.links as WireManifestLinks;
  expect(depth).toMatchObject({ dataset_id: control, digest: (await client.status(control)).digest });
  expect(before.digest).toBe(sha256(`${own}  files\n${depth?.digest}  control_1\n${masks?.digest}  mask\n`));
  expect(await client.status(target)).toMatchObject({ digest: before.digest, files_digest: own });
  // Its archive has the files of all.
  const linkBy = ({ secret }: { secret: string }) =>
    new Api(server.url, secret).request<{ url: string }>('GET', `/${target}/tar-link`);
  const maker = await client.tokens.make();
  expect((await linkBy(await client.tokens.make({ datasets: [target, control] }))).status).toBe(404);
  const { url } = (await linkBy(maker)).body;
  expect((await fetch(url)).status).toBe(200);
  await client.tokens.revoke(maker.id);
  expect((await fetch(url)).status).toBe(403);

  // A pinned revision is closed, so that the next change begins another.
  await api.json('PUT', `/${control}/revisions/${depth?.revision}/pin`, {});
  await api.json('PUT', `/${target}/revisions/${before.revision}/pin`, {});
  await api.upload(control, 'a.jpg', images[2]!);
  await api.upload(target, 'a.txt', 'another caption');
  expect((await manifestOf(target)).digest).not.toBe(before.digest);
  const { digest, links, revision } = before;
  const found = await manifestOf(target, `?digest=${digest}`);
  expect(found).toMatchObject({ digest, files_digest: own, links, revision, status: 'READY' });
  expect(found.files.map(({ etag }) => etag)).toEqual(before.files.map(({ etag }) => etag));
  // A digest from before the links.
  expect(await manifestOf(target, `?digest=${own}`)).toMatchObject({ digest: own, revision });
});

test('of concurrent creates of one name, in any Unicode form, exactly one succeeds', async () => {
  const answers = await Promise.all(
    ['caf\u00e9', 'cafe\u0301', 'caf\u00e9', 'cafe\u0301'].map((name) => api.create(name)),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
});

test('the list filters by name and by status, across pages', async () => {
  const mine = await server.api('filterer');
  for (let i = 0; i < 6; i++) {
    const id = await mine.newDataset(`set ${i}`);
    if (i % 2 === 0) await mine.link(id, 'a.jpg', 10);
  }
  const namesIn = async (query: string) => {
    const { datasets, next_cursor } = (await mine.list(query)).body;
    return { names: datasets.map(({ name }) => name), next_cursor };
  };
  expect((await namesIn('?name=set%203')).names).toEqual(['set 3']);
  const { names, next_cursor } = await namesIn('?status=UPLOADING&limit=2');
  expect(names).toEqual(['set 4', 'set 2']);
  const rest = await namesIn(`?status=UPLOADING&limit=2&cursor=${next_cursor}`);
  expect(rest).toEqual({ names: ['set 0'], next_cursor: null });
});
