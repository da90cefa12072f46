import { afterAll, describe, expect, test } from 'vitest';
import type { WireNewToken } from '../../src/api/account-schemas.js';
import { BASE_PATH } from '../../src/api/limits.js';
import { type DatasetChange, type DatasetEvent, TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { Api, put } from '../harness/api.js';
import { eventually, revokeToken, serverUntil } from '../harness/server.js';

const server = await serverUntil(afterAll, { 'caption-grace-seconds': 5 });
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
const image = await media.jpeg();

/** Reads events until one matches. */
async function until(
  events: AsyncGenerator<DatasetChange>,
  matches: (change: DatasetChange) => boolean,
): Promise<DatasetChange[]> {
  const seen: DatasetChange[] = [];
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) throw new Error(`The stream ended after ${JSON.stringify(seen)}.`);
    seen.push(value);
    if (matches(value)) return seen;
  }
}

const hasFile = (id: string, name: string) => (change: DatasetChange) =>
  change.id === id && change.files?.some(({ filename }) => filename === name) === true;

test('a wait ends at a change, at the deletion and after its time, also if other ids are waited for', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'a.txt', 5);
  expect((await api.status(id, '?wait=0.0001')).body.status).toBe('UPLOADING');
  const waiting = api.status(id, '?wait=60');
  // Events of an EventEmitter, and properties of every object.
  for (const odd of ['newListener', 'error', '__proto__', 'constructor']) {
    expect((await api.status(odd, '?wait=0.2')).status).toBe(404);
  }
  await put(url, 'a dog');
  expect((await waiting).body.files).toHaveLength(1);
  const other = await api.newDataset();
  const deleted = api.status(other, '?wait=60');
  await api.request('DELETE', `/${other}`);
  expect((await deleted).status).toBe(404);
  await api.upload(id, 'a.jpg', media.damaged.html());
  const signal = AbortSignal.timeout(50_000);
  expect((await api.request('GET', `/${id}/status?wait=60`, { signal })).body).toMatchObject({ status: 'FAILED' });
  for (const wait of ['61', '-1', 'x']) expect((await api.status(id, `?wait=${wait}`)).status).toBe(422);
});

// Streams look at their tokens every 15 s.
describe.concurrent('events', () => {
  test('report the dataset at once, every change of status and counts, and the deletion', async () => {
    const id = await api.newDataset();
    const events = client.events(id);
    expect((await events.next()).value).toMatchObject({ id, status: 'DRAFT' });
    await api.upload(id, 'dog.jpg', image);
    const seen = await until(events, ({ counts }) => counts?.images === 1 && counts.pending === 0);
    expect(seen.every(({ status }) => status === 'UPLOADING')).toBe(true);
    // No request is sent here: the grace period ends by itself.
    const failed = (await until(events, ({ status }) => status === 'FAILED')).at(-1);
    expect(failed?.error?.code).toBe('MISSING_CAPTION');
    await api.upload(id, 'dog.txt', 'a dog');
    await until(events, ({ status }) => status === 'READY');
    await api.request('DELETE', `/${id}`);
    for await (const { status } of events) expect(status).toBe('READY');
  });

  test('name the files that changed since the event before, in the form of the status', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'dog.jpg', image);
    // Then no job changes it any more.
    await eventually(async () => (await api.status(id)).body.files[0]?.thumbhash);
    const save = (captions: object[]) => api.json('PUT', `/${id}/captions`, { captions });
    const numbered = (count: number) => Array.from({ length: count }, (_, i) => ({ filename: `${i}.txt`, text: '' }));
    const events = client.events(id);
    /** The files and absent names of all events, until one has this name. */
    const changesUntil = async (name: string) => {
      const changes = await until(events, ({ files = [], absent = [] }) =>
        [...files.map(({ filename }) => filename), ...absent].includes(name),
      );
      return { files: changes.flatMap(({ files }) => files), absent: changes.flatMap(({ absent }) => absent) };
    };
    const first = (await events.next()).value;
    expect(first).not.toHaveProperty('files');
    expect(first).not.toHaveProperty('absent');

    await save([{ filename: 'dog.txt', text: 'a dog' }]);
    const { files } = (await api.status(id)).body;
    expect(await changesUntil('dog.txt')).toEqual({ files: [files[1]], absent: [] });
    // The text has the same length, so that the counts stay the same.
    await save([{ filename: 'dog.txt', text: 'a cat' }]);
    expect((await changesUntil('dog.txt')).files).toMatchObject([{ filename: 'dog.txt' }]);
    await save(numbered(20));
    expect((await changesUntil('19.txt')).files).toHaveLength(20);
    await api.raw('DELETE', `/${id}/files/7.txt`);
    expect(await changesUntil('7.txt')).toEqual({ files: [], absent: ['7.txt'] });
    await save(numbered(250));
    const many = await until(events, ({ counts }) => (counts?.captions ?? 0) >= 251);
    expect(many.at(-1)).not.toHaveProperty('files');
    await events.return(undefined);
  });

  test('end soon after the token or the session of the listener was revoked or has expired', async () => {
    const id = await api.newDataset();
    const other = await server.api();
    const { secret } = (await api.json<WireNewToken>('POST', '/tokens', { expires_in: 3 })).body;
    const page = { 'trainyard-page': '1' };
    const signedIn = await api.raw('POST', '/session', { headers: page });
    const [cookie = ''] = signedIn.headers.getSetCookie()[0]?.split(';') ?? [];
    const session = (await signedIn.json()) as { id: string };
    const streams = await Promise.all([
      other.raw('GET', `/${id}/events`),
      other.raw('GET', '/events'),
      new Api(server.url, secret).raw('GET', `/${id}/events`),
      fetch(`${server.url}${BASE_PATH}/${id}/events`, { headers: { ...page, cookie } }),
    ]);
    await revokeToken(server, other.token);
    expect((await api.request('DELETE', `/tokens/${session.id}`)).status).toBe(200);
    const [ofDataset] = await Promise.all(streams.map((response) => response.text()));
    expect(ofDataset).toContain('event: dataset');
  });
});

test('the events of linked datasets are in those of a dataset if they are asked for, and not for a share', async () => {
  const target = (await client.create()).id;
  const control = (await client.create(undefined, { role: 'control' })).id;
  await client.pairs.setLinks(target, { control_1: control });
  const visitor = new TrainyardClient({ baseUrl: server.url, token: (await client.shares.make(target)).secret });
  const alone = [client.events(target), visitor.events(target, { linked: true })];
  for (const stream of alone) await stream.next();
  const events = client.events(target, { linked: true });
  await until(events, ({ id }) => id === control);
  await api.upload(control, 'a.jpg', image);
  await until(events, hasFile(control, 'a.jpg'));

  // A dataset that is linked later is followed, and one that is linked no longer is not.
  const mask = (await client.create(undefined, { role: 'mask' })).id;
  await client.pairs.setLinks(target, { mask });
  await until(events, ({ id }) => id === mask);
  await api.upload(control, 'b.jpg', image);
  await api.upload(mask, 'c.png', await media.png());
  const seen = await until(events, hasFile(mask, 'c.png'));
  expect(seen.filter(({ id }) => id === control)).toEqual([]);

  // The streams end with their dataset.
  await client.remove(target);
  for await (const { id } of events) expect(id).not.toBe(control);
  for (const stream of alone) for await (const { id } of stream) expect(id).toBe(target);
});

test('the events of an account name every change of every dataset to many clients, and end when the server stops', async () => {
  const mine = await server.api('watched');
  const before = await mine.newDataset();
  const watching = new TrainyardClient({ baseUrl: server.url, token: mine.token });
  const streams = Array.from({ length: 5 }, () => watching.allEvents());
  const next = () => Promise.all(streams.map(async (events) => (await events.next()).value));
  const all = (event: DatasetEvent | undefined) => streams.map(() => event);
  expect(await next()).toEqual(all({ type: 'open' }));
  const { secret } = await watching.tokens.make({ datasets: [before] });
  const bound = new TrainyardClient({ baseUrl: server.url, token: secret }).allEvents();
  expect((await bound.next()).value).toEqual({ type: 'open' });
  const { body: created } = await mine.create();
  expect(await next()).toEqual(all({ type: 'dataset', dataset: created }));
  await mine.link(created.id, 'a.txt', 5);
  const [dataset] = (await mine.list()).body.datasets;
  expect(await next()).toEqual(all({ type: 'dataset', dataset: dataset! }));
  await mine.request('DELETE', `/${before}`);
  expect(await next()).toEqual(all({ type: 'deleted', id: before }));
  expect((await bound.next()).value).toEqual({ type: 'deleted', id: before });
  const ends = next();
  await server.stop();
  expect(await ends).toEqual(all(undefined));
});
