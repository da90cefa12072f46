import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireDatasetChange } from '../../src/api/schemas.js';
import type { WireDataset } from '../../src/api/schemas.js';
import * as media from '../fixtures/media.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, eventually, revokeToken, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let image: Buffer;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 2 });
  api = await server.api();
  image = await media.jpeg();
});
afterAll(() => discardServer(server));

interface Event {
  readonly event: string;
  readonly data: WireDatasetChange;
}

/** Yields events as they arrive. */
async function* eventsOf(response: Response): AsyncGenerator<Event> {
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/m.exec(text.slice(0, end)) ?? [];
      text = text.slice(end + 2);
      if (event !== '') yield { event, data: JSON.parse(data) };
    }
  }
}

describe('a missing caption', () => {
  test('is an error only after the grace period, and uploading the caption repairs it', async () => {
    // On a busy machine, the grace period may end before the status is read.
    const id = await eventually(async () => {
      const id = await api.newDataset();
      await api.upload(id, 'dog.jpg', image);
      return (await api.status(id)).body.status === 'UPLOADING' ? id : undefined;
    });
    const failed = await api.status(id, '?wait=30');
    expect(failed.body).toMatchObject({
      status: 'FAILED',
      error: {
        code: 'MISSING_CAPTION',
        problems: [{ code: 'MISSING_CAPTION', filename: 'dog.jpg', message: expect.stringContaining('dog.txt') }],
      },
    });
    const [listed] = (await api.list()).body.datasets;
    expect(listed).toMatchObject({ id, status: 'FAILED', error: { code: 'MISSING_CAPTION', problems: [] } });
    await api.upload(id, 'dog.txt', 'a dog');
    expect((await api.status(id)).body.status).toBe('READY');
  });

  test('is paired by exact case, and an orphaned caption is reported with the nearest name', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'Dog.jpg', image);
    await api.upload(id, 'dog.txt', 'a dog');
    const { body } = await api.status(id, '?wait=30');
    expect(body.error?.code).toBe('MISSING_CAPTION');
    expect(body.warnings).toContainEqual(
      expect.objectContaining({ code: 'ORPHAN_CAPTION', message: expect.stringContaining('Dog') }),
    );
  });

  test('a dataset of only types that the trainer ignores is not READY', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'a.gif', await media.gif());
    await api.upload(id, 'a.txt', 'a caption');
    expect((await api.status(id, '?wait=30')).body).toMatchObject({
      status: 'FAILED',
      error: { code: 'NO_TRAINABLE_MEDIA' },
    });
  });
});

describe('wait', () => {
  test('answers as soon as the dataset is READY', async () => {
    const id = await api.newDataset();
    const url = await api.link(id, 'dog.jpg', image.length);
    const waiting = api.status(id, '?wait=60');
    await api.upload(id, 'dog.txt', 'a dog');
    await put(url, image);
    expect((await waiting).body).toMatchObject({ status: 'READY', files: [{}, {}] });
  });

  test('answers after the given time with the current state', async () => {
    const id = await api.newDataset();
    await api.link(id, 'dog.jpg', 5);
    expect((await api.status(id, '?wait=0.2')).body.status).toBe('UPLOADING');
  });

  test('answers 404 once the dataset is deleted', async () => {
    const id = await api.newDataset();
    const waiting = api.status(id, '?wait=60');
    await api.request('DELETE', `/${id}`);
    expect((await waiting).status).toBe(404);
  });

  test.each(['61', '-1', 'x'])('rejects wait=%s with 422', async (wait) => {
    expect((await api.status(await api.newDataset(), `?wait=${wait}`)).status).toBe(422);
  });
});

describe('events', () => {
  test('report the dataset at once, every change of status and counts, and the deletion', async () => {
    const id = await api.newDataset();
    const response = await api.raw('GET', `/${id}/events`);
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = eventsOf(response);
    const next = async () => (await events.next()).value as Event;
    expect(await next()).toMatchObject({ event: 'dataset', data: { id, status: 'DRAFT' } });
    await api.upload(id, 'dog.jpg', image);
    const seen: WireDataset[] = [];
    const until = async (isIt: (dataset: WireDataset) => boolean) => {
      do seen.push((await next()).data);
      while (!isIt(seen.at(-1)!));
    };
    await until(({ counts }) => counts.images === 1 && counts.pending === 0);
    expect(seen.every(({ status }) => status === 'UPLOADING')).toBe(true);
    // No request is sent here: the grace period ends by itself.
    await until(({ status }) => status === 'FAILED');
    expect(seen.at(-1)?.error?.code).toBe('MISSING_CAPTION');
    await api.upload(id, 'dog.txt', 'a dog');
    await until(({ status }) => status === 'READY');
    await api.request('DELETE', `/${id}`);
    expect(await next()).toEqual({ event: 'deleted', data: { id } });
    expect((await events.next()).done).toBe(true);
  });

  test('name the files that changed since the event before, in the form of the status', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'dog.jpg', image);
    const save = (captions: object[]) => api.json('PUT', `/${id}/captions`, { captions });
    const numbered = (count: number) => Array.from({ length: count }, (_, i) => ({ filename: `${i}.txt`, text: '' }));
    const events = eventsOf(await api.raw('GET', `/${id}/events`));
    const next = async () => (await events.next()).value.data as WireDatasetChange;
    /** The files and absent names of all events, until one has the last of these names. */
    const changesUntil = async (name: string) => {
      const changes: WireDatasetChange[] = [];
      do changes.push(await next());
      while (![...changes.at(-1)!.files!.map(({ filename }) => filename), ...changes.at(-1)!.absent!].includes(name));
      return { files: changes.flatMap(({ files }) => files), absent: changes.flatMap(({ absent }) => absent) };
    };
    const first = await next();
    expect(first).not.toHaveProperty('files');
    expect(first).not.toHaveProperty('absent');

    await save([{ filename: 'dog.txt', text: 'a dog' }]);
    const { files } = (await api.status(id)).body;
    expect(await changesUntil('dog.txt')).toEqual({ files: [files[1]], absent: [] });
    // The text has the same length, so that the counts stay the same.
    await save([{ filename: 'dog.txt', text: 'a cat' }]);
    expect((await changesUntil('dog.txt')).files).toMatchObject([
      { filename: 'dog.txt', uploaded_at: expect.any(String) },
    ]);
    await save(numbered(20));
    expect((await changesUntil('19.txt')).files).toHaveLength(20);
    await api.raw('DELETE', `/${id}/files/7.txt`);
    expect(await changesUntil('7.txt')).toEqual({ files: [], absent: ['7.txt'] });
    await save(numbered(1000));
    let many: WireDatasetChange;
    do many = await next();
    while (many.counts.captions < 1001);
    expect(many).not.toHaveProperty('files');
    await events.return(undefined);
  });

  test('reach any number of listeners', async () => {
    const id = await api.newDataset();
    const listeners = await Promise.all(Array.from({ length: 20 }, () => api.raw('GET', `/${id}/events`)));
    const streams = listeners.map(eventsOf);
    await Promise.all(streams.map((stream) => stream.next()));
    await api.link(id, 'a.jpg', 5);
    const second = await Promise.all(streams.map((stream) => stream.next()));
    expect(second.map(({ value }) => (value as Event).data.status)).toEqual(Array(20).fill('UPLOADING'));
    await Promise.all(streams.map((stream) => stream.return(undefined)));
  });

  test.each(['/events', '/ID/events'])('a HEAD of %s leaves the connection to the next request', async (path) => {
    const target = `/prod/v1/trainers/datasets${path.replace('ID', await api.newDataset())}`;
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write(`HEAD ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.token}\r\n\r\n`);
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect((await text(socket)).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
  });

  test('end soon after the token of the listener was revoked', async () => {
    const id = await api.newDataset();
    const other = await server.api();
    const streams = [`/${id}/events`, '/events'].map(async (path) => eventsOf(await other.raw('GET', path)));
    const [ofDataset, ofAccount] = await Promise.all(streams);
    expect((await ofDataset?.next())?.value).toMatchObject({ event: 'dataset' });
    await revokeToken(server, other.token);
    expect(await ofDataset?.next()).toEqual({ done: true, value: undefined });
    expect(await ofAccount?.next()).toEqual({ done: true, value: undefined });
    expect((await api.status(id)).status).toBe(200);
  });
});
