import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { type OpenCatalog, openCatalog } from '../../src/storage/catalog/open-catalog.js';
import { directBytes, putBytes, RawClient } from '../faults/raw-client.js';
import * as media from '../fixtures/media.js';
import { type Answer, Api, put } from '../harness/api.js';
import { whyNoPostgres } from '../harness/available.js';
import { Follower } from '../harness/follower.js';
import { newDatabase, startPostgres } from '../harness/postgres.js';
import { discardServer, eventually, serverUntil, startServer, type TestServer } from '../harness/server.js';

// Each instance has its own data folder, since these tests have no shared blob store. No test reads through one instance a
// file that was uploaded through the other.
const SETTINGS = { 'caption-grace-seconds': 0, 'lease-seconds': 5, 'blob-grace-seconds': 0, 'stop-seconds': 2 };

const numbered = (count: number) => Array.from({ length: count }, (_, i) => i);

describe.skipIf(whyNoPostgres() !== undefined)('two instances on one Postgres', () => {
  let database: Awaited<ReturnType<typeof newDatabase>>;
  let [one, two]: (TestServer | undefined)[] = [];
  let apis: [Api, Api];
  let metadata: OpenCatalog;
  beforeAll(async () => {
    database = await newDatabase();
    const env = { DATABASE_URL: database.url };
    // Concurrently, on an empty database.
    [one, two] = await Promise.all([startServer(SETTINGS, { env }), startServer(SETTINGS, { env })]);
    metadata = await openCatalog({ dataFolder: '', blobGrace: 0, databaseUrl: database.url });
    const first = await one.api();
    apis = [first, new Api(two.url, first.token)];
  });
  afterAll(async () => {
    await metadata.close();
    await discardServer(one);
    await discardServer(two);
    await database.drop();
  });

  test('an event names the files that were changed at the other instance, unless their names are too long', async () => {
    const id = await apis[0].newDataset();
    const client = new TrainyardClient({ baseUrl: two!.url, token: apis[0].token });
    const save = (filenames: string[]) =>
      apis[0].json('PUT', `/${id}/captions`, { captions: filenames.map((filename) => ({ filename, text: 'x' })) });
    const events = client.events(id);
    /** The last event before this number of captions. */
    const eventWith = async (captions: number) => {
      for await (const change of { [Symbol.asyncIterator]: () => ({ next: () => events.next() }) })
        if (change.counts.captions === captions) return change;
      throw new Error('The stream has ended.');
    };
    await eventWith(0);
    await save(['één “a”.txt', 'b.txt']);
    expect((await eventWith(2)).files).toMatchObject([{ filename: 'b.txt' }, { filename: 'één “a”.txt' }]);
    await save(numbered(40).map((i) => `${'x'.repeat(240)}${i}.txt`));
    expect(await eventWith(42)).not.toHaveProperty('files');
    await events.return(undefined);
  });

  test('a client of one instance learns of datasets created, filled and deleted at the other', async () => {
    const hangUp = new AbortController();
    const client = new TrainyardClient({ baseUrl: one!.url, token: apis[0].token });
    const events = client.allEvents({ signal: hangUp.signal });
    expect((await events.next()).value).toEqual({ type: 'open' });
    const { body: created } = await apis[1].create();
    expect((await events.next()).value).toEqual({ type: 'dataset', dataset: created });
    await apis[1].upload(created.id, 'a.txt', 'a caption');
    let captions = 0;
    while (captions === 0) {
      const { value } = await events.next();
      captions = value?.type === 'dataset' ? value.dataset.counts.captions : 0;
    }
    await apis[1].request('DELETE', `/${created.id}`);
    expect((await events.next()).value).toEqual({ type: 'deleted', id: created.id });
    hangUp.abort();
  });

  test('a target is READY at one when the missing control arrives at the other, and both count changes of both sides at once', async () => {
    const [here, there] = apis;
    const image = await media.jpeg();
    const create = async (role: string) => (await here.json<{ id: string }>('POST', '', { role })).body.id;
    const [target, control] = [await create('training'), await create('control')];
    const stems = numbered(4).map((i) => `pair_${i}`);
    for (const stem of stems) {
      await here.upload(target, `${stem}.jpg`, image);
      await here.upload(target, `${stem}.txt`, 'a caption');
      if (stem !== 'pair_3') await there.upload(control, `${stem}.jpg`, image);
    }
    await there.json('PUT', `/${target}/links`, { control_1: control });
    const follower = new Follower(target, { instances: () => [one!.url], token: here.token, first: 0 });
    await follower.sees(({ status, counts }) => status === 'FAILED' && counts.unpaired === 1);
    // The link makes the target wait for the upload.
    const link = await there.link(control, 'pair_3.jpg', image.length);
    await follower.sees(({ status }) => status === 'UPLOADING');
    const waiting = here.status(target, '?wait=30');
    expect((await put(link, image)).status).toBe(200);
    expect((await waiting).body.status).toBe('READY');
    await follower.sees(({ status }) => status === 'READY');
    const changes = stems.flatMap((stem, i) => {
      const [a, b] = i % 2 === 0 ? [here, there] : [there, here];
      return [
        a.request('DELETE', `/${target}/files/${stem}.jpg`),
        b.request('DELETE', `/${control}/files/${stem}.jpg`),
        a.upload(control, `more_${i}.jpg`, image),
        i === 0 ? a.upload(target, `more_${i}.txt`, 'a caption') : b.upload(target, `more_${i}.jpg`, image),
      ];
    });
    await Promise.all(changes);
    const { counts, links } = (await here.status(target)).body;
    expect(counts).toMatchObject({ images: 3, unpaired: 0 });
    expect(links?.control_1?.extra.count).toBe(1);
    await follower.sees((dataset) => dataset.counts.images === 3 && dataset.counts.unpaired === 0);
    await follower.stop();
  });

  test('a token revoked at one is rejected by the other', async () => {
    const stranger = await one!.api('stranger');
    const there = new Api(two!.url, stranger.token);
    expect((await there.list()).status).toBe(200);
    const [row] = await metadata.accounts.tokens('stranger');
    await metadata.accounts.revokeToken(row!.id, metadata.now());
    await eventually(async () => ((await there.list()).status === 401 ? true : undefined));
  });

  test('uploads of a killed instance are ended or taken over by the other, and their dataset is not FAILED meanwhile', async () => {
    const [id, pair] = [await apis[1].newDataset(), await apis[1].newDataset()];
    await apis[1].upload(pair, 'a.jpg', await media.jpeg());
    await apis[1].upload(pair, 'a.txt', 'a caption');
    const victim = await startServer(SETTINGS, { env: { DATABASE_URL: database.url } });
    try {
      const api = new Api(victim.url, apis[0].token);
      const content = Buffer.from('a caption that never comes to its end');
      const link = await apis[1].link(id, 'link.txt', content.length);
      const path = link.slice(new URL(link).origin.length);
      const direct = await RawClient.open(victim.url);
      await direct.send(directBytes(api, id, 'direct.txt', content).subarray(0, -60));
      const replacing = await RawClient.open(victim.url);
      await replacing.send(directBytes(api, pair, 'a.txt', content).subarray(0, -60));
      const byLink = await RawClient.open(victim.url);
      await byLink.send(putBytes(victim.url + path, content).subarray(0, -10));
      await eventually(async () => {
        const files = [...(await metadata.catalog.files(id)), ...(await metadata.catalog.files(pair))];
        const received = files.filter(({ upload }) => upload.state === 'pending' && upload.leaseToken !== null);
        return received.length === 3 || undefined;
      });
      expect((await put(link, content)).status).toBe(409);
      await victim.stop('SIGKILL');
      // Like a client that was disconnected.
      expect((await apis[1].upload(pair, 'a.txt', 'another caption')).status).toBe(200);
      const seen = new Set<string>();
      await eventually(async () => {
        const { status, counts } = (await apis[1].status(pair)).body;
        seen.add(status);
        return counts.pending === 0 || undefined;
      });
      // On a busy machine, the lease of the dead instance may have ended before the first look.
      expect([...seen].filter((status) => status !== 'UPLOADING')).toEqual(['READY']);

      const answer = await eventually(async () => {
        const taken = await put(link, content);
        return taken.status === 200 ? taken : undefined;
      });
      expect(answer.body.filename).toBe('link.txt');
      // The direct upload is ended, since its connection is gone.
      const { body } = await eventually(async () => {
        const status = await apis[1].status(id);
        return status.body.counts.pending === 0 ? status : undefined;
      });
      expect(body.files.map((file) => file.filename)).toEqual(['link.txt']);
    } finally {
      await discardServer(victim);
    }
  });
});

test.skipIf(whyNoPostgres() !== undefined)(
  'a Postgres that is restarted under load makes requests succeed or fail with 503, ends event streams, and loses nothing acknowledged',
  async () => {
    const postgres = await startPostgres();
    onTestFinished(() => postgres.discard());
    const server = await serverUntil(onTestFinished, SETTINGS, { env: { DATABASE_URL: postgres.url } });
    const api = await server.api();
    const events = new TrainyardClient({ baseUrl: server.url, token: api.token }).allEvents();
    expect((await events.next()).value).toEqual({ type: 'open' });
    const id = await api.newDataset('under-load');
    const acknowledged = new Set<string>();
    const refusals: Answer<unknown>[] = [];
    let [count, isOver] = [0, false];
    const load = numbered(4).map(async () => {
      while (!isOver) {
        const name = `${++count}.txt`;
        const answer = await api.upload(id, name, `caption ${name}`);
        if (answer.status === 200) acknowledged.add(name);
        else refusals.push(answer);
      }
    });
    await eventually(() => acknowledged.size > 20 || undefined);
    await postgres.stop();
    // Notifications may have been lost.
    while (!(await events.next()).done);
    await eventually(() => refusals.length > 0 || undefined);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(200);
    await postgres.start();
    const before = acknowledged.size;
    await eventually(() => acknowledged.size > before + 20 || undefined);
    isOver = true;
    await Promise.all(load);

    expect(refusals.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual(
      refusals.map(() => [503, '2']),
    );
    const { body } = await eventually(async () => {
      const status = await api.status(id);
      return status.body.counts.pending === 0 ? status : undefined;
    });
    expect(body.files.map((file) => file.filename)).toEqual(expect.arrayContaining([...acknowledged]));
    expect(body.counts.captions).toBe(body.files.length);
  },
);
