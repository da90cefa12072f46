import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DatasetChange, TrainyardClient } from '../../src/client/client.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import * as media from '../fixtures/media.js';

let server: TestServer;
let api: Api;
let client: TrainyardClient;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(() => discardServer(server));

async function linkedPair(): Promise<{ target: string; control: string }> {
  const target = (await client.create()).id;
  const control = (await client.create(undefined, { role: 'control' })).id;
  await client.pairs.setLinks(target, { control_1: control });
  return { target, control };
}

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

test('the events of a dataset include those of its controls and its mask if they are asked for', async () => {
  const { target, control } = await linkedPair();
  const events = client.events(target, { linked: true });
  await until(events, ({ id }) => id === control);
  await api.upload(control, 'a.jpg', await media.jpeg());
  await until(events, hasFile(control, 'a.jpg'));

  // A dataset that is linked later is followed, and one that is linked no longer is not.
  const mask = (await client.create(undefined, { role: 'mask' })).id;
  await client.pairs.setLinks(target, { mask });
  await until(events, ({ id }) => id === mask);
  await api.upload(control, 'b.jpg', await media.jpeg());
  await api.upload(mask, 'c.png', await media.png());
  const seen = await until(events, hasFile(mask, 'c.png'));
  expect(seen.filter(({ id }) => id === control)).toEqual([]);

  // The stream ends with its dataset.
  await client.remove(target);
  for await (const { id } of events) expect(id).not.toBe(control);
});

test('the events of a dataset are its own without that, and for a token that may read no other dataset', async () => {
  const { target, control } = await linkedPair();
  const share = await client.shares.make(target, { expiresInSeconds: 3600 });
  const secret = new URL(share.url).hash.slice(1).replace(/^.*=/, '');
  const bound = new TrainyardClient({ baseUrl: server.url, token: secret });
  for (const events of [client.events(target), bound.events(target, { linked: true })]) {
    await events.next();
    await api.upload(control, 'a.jpg', await media.jpeg({ seed: 3 }));
    await api.upload(target, 'a.txt', crypto.randomUUID());
    const seen = await until(events, hasFile(target, 'a.txt'));
    expect(seen.filter(({ id }) => id !== target)).toEqual([]);
    await events.return(undefined);
  }
});
