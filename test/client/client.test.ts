import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Dataset,
  type PushFile,
  type PushOutcome,
  type PushProgress,
  TrainyardClient,
  TrainyardError,
} from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { type BreakingProxy, type Rule, startProxy } from '../harness/proxy.js';
import { eventually } from '../harness/server.js';
import { sha256 } from '../harness/sha256.js';
import { sharedServer } from '../harness/shared-server.js';
import { tcpLinkTo } from '../harness/tcp-link.js';

const server = await sharedServer();
const { token } = await server.api();
let proxy: BreakingProxy;
beforeEach(async () => {
  proxy = await startProxy(server.url);
});
afterEach(() => proxy.close());

const clientAt = (url: string) => new TrainyardClient({ baseUrl: url, token });

function fileOf(name: string, bytes: Buffer | string): PushFile {
  const blob = new Blob([bytes as Buffer<ArrayBuffer>]);
  return { name, size: blob.size, open: async () => blob };
}

/** `count` images, each with a caption. */
async function pairs(count: number): Promise<PushFile[]> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const images = await Promise.all(numbers.map(async (seed) => fileOf(`${seed}.jpg`, await media.jpeg({ seed }))));
  return [...images, ...numbers.map((seed) => fileOf(`${seed}.txt`, `wagon ${seed}`))];
}

/** Applies a rule of the proxy to PUT requests only. */
const onPut =
  (rule: Rule): Rule =>
  (seen) =>
    seen.method === 'PUT' ? rule(seen) : undefined;

const namesOf = (files: readonly { name: string }[]) => files.map(({ name }) => name).sort();

describe('the client', () => {
  test('calls every endpoint', async () => {
    const client = clientAt(`${server.url}/prod/v1/trainers/datasets/`);
    const image = await media.jpeg({ width: 128, height: 64 });
    const { id, name } = await client.create('every endpoint');
    expect(await client.find(name)).toMatchObject({ id, status: 'DRAFT' });
    expect(await client.find(id)).toMatchObject({ name });
    expect(await client.find('no such dataset')).toBeUndefined();
    const events = client.events(id);
    expect((await events.next()).value).toMatchObject({ id, status: 'DRAFT' });
    const blob = new Blob([image as Buffer<ArrayBuffer>]);
    expect(await client.upload(id, 'a "b" é.jpg', blob)).toMatchObject({ filename: 'a "b" é.jpg', width: 128 });
    const { 'a "b" é.txt': link } = await client.uploadLinks(id, { 'a "b" é.txt': 5 });
    await fetch(link!.upload_url, { method: 'PUT', body: 'wagon' });
    const seen: string[] = [];
    const ready = await client.waitUntilReady(id, { onStatus: ({ status }) => seen.push(status) });
    expect(seen.at(-1)).toBe('READY');
    expect(ready).toMatchObject({ status: 'READY', digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(await client.manifest(id)).toMatchObject({ dataset_id: id, digest: ready.digest });
    expect(await (await client.file(id, 'a "b" é.txt')).text()).toBe('wagon');
    expect(await (await client.file(id, 'a "b" é.txt', { from: 3 })).text()).toBe('on');
    expect((await client.thumbnail(id, 'a "b" é.jpg')).headers.get('content-type')).toBe('image/webp');
    await client.removeFile(id, 'a "b" é.txt');
    expect(await client.waitUntilReady(id)).toMatchObject({ status: 'FAILED', error: { code: 'MISSING_CAPTION' } });
    await client.remove(id);
    expect(await eventually(async () => ((await events.next()).done ? 'ended' : undefined))).toBe('ended');
  });

  test('sends no request about the file or the dataset of an empty name or of dots, which would be about another', async () => {
    const client = clientAt(server.url);
    const { id } = await client.create();
    for (const name of ['', '.', '..']) {
      const nothing = { status: 404, message: `Nothing has the id or the filename ${JSON.stringify(name)}.` };
      await expect(client.removeFile(id, name)).rejects.toMatchObject(nothing);
      await expect(client.withdraw(id, name)).rejects.toMatchObject(nothing);
      await expect(client.remove(name)).rejects.toMatchObject(nothing);
      await expect(client.thumbnail(id, name)).rejects.toMatchObject(nothing);
    }
    expect((await client.status(id)).id).toBe(id);
  });

  test('throws the error of the service, with code and detail', async () => {
    const client = clientAt(server.url);
    const { id } = await client.create('taken');
    await expect(client.create('taken')).rejects.toMatchObject({ status: 409, errorCode: 409001, code: 'name_taken' });
    const rejected = await client.uploadLinks(id, { 'a.exe': 5 }).catch((error) => error);
    expect(rejected).toBeInstanceOf(TrainyardError);
    expect(rejected).toMatchObject({ status: 415, detail: [{ path: 'filenameToByteSize.a.exe' }] });
    const stranger = new TrainyardClient({ baseUrl: server.url, token: 'ty_no' });
    await expect(stranger.list()).rejects.toMatchObject({ status: 401, message: expect.stringContaining('token') });
  });

  test('is not made with a token that no header can carry, which is not quoted', () => {
    const message = 'The token is empty, or has a space, a line end or a character that is not ASCII.';
    for (const text of ['ty\r\nsecond', ' ty_secret', 'ty secret', 'ty_secret\u6f22', 'ty_secret\u00e9', '']) {
      const made = () => new TrainyardClient({ baseUrl: server.url, token: text });
      expect(made).toThrow(new TypeError(message));
    }
  });

  test('names the change that its writes belong to, and only with writes', async () => {
    const change = { how: 'bulk', id: '3f2a' } as const;
    const sent: unknown[] = [];
    const observed: typeof fetch = (input, init) => {
      sent.push([init?.method, new Headers(init?.headers).get('trainyard-change')]);
      return fetch(input, init);
    };
    const client = new TrainyardClient({ baseUrl: server.url, token, change, fetch: observed });
    const { id } = await client.create();
    await client.status(id);
    await client.bulk.saveCaptions(id, [{ filename: 'a.txt', text: 'a wagon' }]);
    await client.removeFile(id, 'a.txt');
    expect(sent).toEqual([
      ['POST', 'bulk; 3f2a'],
      ['GET', null],
      ['PUT', 'bulk; 3f2a'],
      ['DELETE', 'bulk; 3f2a'],
    ]);
  });

  test('quotes an answer that is not from a dataset service, with any status', async () => {
    proxy.rule(() => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>\n Welcome' }));
    await expect(clientAt(proxy.url).list()).rejects.toThrow('not as a dataset service: <html> Welcome');
    proxy.rule(() => ({ status: 403, body: 'no entry' }));
    await expect(clientAt(proxy.url).list()).rejects.toMatchObject({ status: 403, errorCode: 403, code: undefined });
    expect(proxy.seen).toHaveLength(2);
    proxy.rule(() => ({ status: 400, body: '' }));
    await expect(clientAt(proxy.url).list()).rejects.toThrow(
      'answered 400, but not as a dataset service: its answer is empty',
    );
    expect(() => clientAt('nonsense')).toThrow('URL');
  });

  test('ends streams of events when nothing arrives for too long, before their answer too', async () => {
    const { id } = await clientAt(server.url).create();
    const link = await tcpLinkTo(server.url);
    // The service sends nothing more for 15 s.
    const events = clientAt(link.url).events(id, { maxSilentSeconds: 2 });
    expect((await events.next()).value).toMatchObject({ id });
    await expect(events.next()).rejects.toMatchObject({ name: 'TimeoutError' });
    link.stall();
    const [client, brief] = [clientAt(link.url), { maxSilentSeconds: 0.1 }];
    for (const held of [client.events(id, brief), client.allEvents(brief)]) {
      await expect(held.next()).rejects.toMatchObject({ name: 'TimeoutError' });
    }
  });
});

describe('push', () => {
  let client: TrainyardClient;
  let dataset: Dataset;
  beforeEach(async () => {
    client = clientAt(proxy.url);
    dataset = await client.create();
  });

  test('reserves all files, sends them, and counts bytes only once they are acknowledged', async () => {
    const files = [...(await pairs(2)), fileOf('6.jpg', await media.jpeg({ seed: 6 })), fileOf('6.txt', '')];
    const told: PushProgress[] = [];
    const result = await client.push(dataset, files, { onProgress: (progress) => told.push(progress), concurrency: 3 });
    expect(result).toEqual({ stored: expect.anything(), unchanged: [], failed: [] });
    expect([...result.stored].sort()).toEqual(namesOf(files));
    expect(proxy.requests('POST', 'get-upload-endpoint')).toHaveLength(1);
    expect(proxy.requests('PUT', '')).toHaveLength(5);
    const total = files.reduce((sum, { size }) => sum + size, 0);
    expect(told[0]).toMatchObject({ totalBytes: total, acknowledgedBytes: 0, totalFiles: 6, finishedFiles: 0 });
    expect(told.at(-1)).toMatchObject({ acknowledgedBytes: total, finishedFiles: 6, inFlight: [] });
    const steps = told.map(({ acknowledgedBytes }) => acknowledgedBytes);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
    expect(Math.max(...told.map(({ inFlight }) => inFlight.length))).toBe(3);
    expect(await client.status(dataset.id)).toMatchObject({ status: 'READY' });
  });

  test('skips files stored with the same SHA-256, and sends files changed at the same size', async () => {
    const files = await pairs(2);
    await client.push(dataset, files);
    const changed = [...files.slice(0, 3), fileOf('2.txt', 'wagon 9')];
    expect(namesOf(await client.missing(dataset, changed))).toEqual(['2.txt']);
    const sent = proxy.requests('PUT', '').length;
    expect(await client.push(dataset, changed)).toMatchObject({ stored: ['2.txt'], unchanged: { length: 3 } });
    expect(proxy.requests('PUT', '')).toHaveLength(sent + 1);
    const bytes = await (await client.file(dataset.id, '2.txt')).text();
    expect(bytes).toBe('wagon 9');
  });

  test.each<[string, Rule]>([
    ['a connection that breaks', ({ time }) => (time <= 2 ? { resetAfterBytes: 1 } : undefined)],
    ['502 of a proxy', ({ time }) => (time === 1 ? { status: 502, body: '<html>' } : undefined)],
  ])('retries after %s', async (_, rule) => {
    proxy.rule(onPut(rule));
    expect(await client.push(dataset, await pairs(2))).toMatchObject({ stored: { length: 4 }, failed: [] });
    expect(proxy.requests('PUT', '').length).toBeGreaterThanOrEqual(8);
    expect(await client.status(dataset.id)).toMatchObject({ status: 'READY' });
  });

  test('waits for the Retry-After of a 503, and makes a dataset, token or share again only if none was made', async () => {
    proxy.rule(onPut(({ time }) => (time === 1 ? { status: 503, headers: { 'retry-after': '1' } } : undefined)));
    const begun = Date.now();
    expect(await client.push(dataset, [fileOf('a.txt', 'wagon')])).toMatchObject({ stored: ['a.txt'] });
    // Without the header, the delay would be at most 250 ms.
    expect(Date.now() - begun).toBeGreaterThanOrEqual(990);
    expect(proxy.requests('PUT', '').map((seen) => seen.status)).toEqual([503, 200]);
    for (const make of [() => client.create(), () => client.tokens.make(), () => client.shares.make(dataset.id)]) {
      for (const [status, seen] of [
        [429, [429, 200]],
        [500, [500]],
      ] as const) {
        const before = proxy.seen.length;
        const posts = () => proxy.seen.slice(before).filter(({ method }) => method === 'POST');
        proxy.rule(() => (posts().length === 1 ? { status, headers: { 'retry-after': '0' } } : undefined));
        await make().catch((error) => expect(error).toMatchObject({ status }));
        expect(posts().map((post) => post.status)).toEqual(seen);
      }
    }
    // Nothing was done at 429: a file that was never there is not taken for a deleted one.
    proxy.rule(({ time }) => (time === 1 ? { status: 429, headers: { 'retry-after': '0' } } : undefined));
    await expect(client.removeFile(dataset.id, 'no.txt')).rejects.toMatchObject({ status: 404 });
  });

  test('does not retry after 422, and sends the other files', async () => {
    const body = JSON.stringify({ error_code: 422001, error_message: 'No.' });
    proxy.rule(onPut(() => (proxy.requests('PUT', '').length === 1 ? { status: 422, body } : undefined)));
    expect(await client.push(dataset, await pairs(2), { concurrency: 1 })).toMatchObject({
      stored: ['2.jpg', '1.txt', '2.txt'],
      failed: [{ name: '1.jpg', error: { status: 422 } }],
    });
    expect(proxy.requests('PUT', '')).toHaveLength(4);
  });

  test('requests a new link if one has expired', async () => {
    const body = JSON.stringify({ error_code: 403002, error_message: 'This link has expired.' });
    proxy.rule(
      onPut(({ time }) => (proxy.requests('PUT', '').length === 1 && time === 1 ? { status: 403, body } : undefined)),
    );
    expect(await client.push(dataset, [fileOf('a.txt', 'wagon')])).toMatchObject({ stored: ['a.txt'] });
    expect(proxy.requests('PUT', '').map(({ status }) => status)).toEqual([403, 200]);
    expect(proxy.requests('POST', 'get-upload-endpoint')).toHaveLength(2);
  });

  test('takes a 409 for success only if the bytes are stored, and not an old file of the same name and size', async () => {
    proxy.rule(onPut(() => ([1, 3].includes(proxy.requests('PUT', '').length) ? 'lose-answer' : undefined)));
    const files = [fileOf('a.txt', 'wagon'), fileOf('bad.jpg', media.damaged.html())];
    const { stored, failed } = await client.push(dataset, files, { concurrency: 1 });
    expect(stored).toEqual(['a.txt']);
    expect(failed).toMatchObject([{ name: 'bad.jpg', error: { status: 422 } }]);
    expect(proxy.requests('PUT', '').map(({ status }) => status)).toEqual([undefined, 409, undefined, 409, 422]);
    proxy.rule(onPut(() => (proxy.requests('PUT', '').length === 6 ? { status: 409, body: 'spent' } : undefined)));
    expect(await client.push(dataset, [fileOf('a.txt', 'train')])).toMatchObject({ stored: ['a.txt'] });
    expect(await (await client.file(dataset.id, 'a.txt')).text()).toBe('train');
  });

  test('counts as unchanged what another client stores with the same bytes meanwhile', async () => {
    const other = clientAt(server.url);
    const own = fileOf('3.txt', 'a wagon of this client');
    const files = [...(await pairs(2)), own];
    const theirs = fileOf('3.txt', 'a wagon of another client');
    proxy.rule(async ({ method, time }) => {
      if (method === 'POST' && time === 1) await other.push(dataset, [files[0]!, theirs]);
      if (method === 'PUT' && proxy.requests('PUT', '').length === 1) await other.push(dataset, files.slice(1, -1));
      return undefined;
    });
    const ifMatch = Object.fromEntries(files.map(({ name }) => [name, null]));
    const { stored, unchanged, failed } = await client.push(dataset, files, { ifMatch, concurrency: 1 });
    expect([stored, unchanged.toSorted()]).toEqual([[], namesOf(files.slice(0, -1))]);
    expect(failed).toMatchObject([{ name: '3.txt', error: { status: 412 } }]);
    expect(proxy.requests('GET', '')).toHaveLength(2);
  });

  test('sends the other files if the service rejects some names of the batch', async () => {
    const bad = [fileOf('a.exe', 'x'), fileOf('b/c.jpg', 'x'), fileOf('e\u0301.txt', 'x')];
    const { stored, failed } = await client.push(dataset, [fileOf('é.txt', 'y'), ...bad, ...(await pairs(1))]);
    expect([...stored].sort()).toEqual(['1.jpg', '1.txt', 'é.txt']);
    expect(namesOf(failed)).toEqual(namesOf(bad));
    expect(failed.map(({ error }) => error.message).join()).toContain('slash');
  });

  test('reports files that can no longer be read, keeps those that they replace, and leaves no pending upload', async () => {
    await client.push(dataset, await pairs(1));
    const before = await client.status(dataset.id);
    const gone: PushFile = { name: '1.jpg', size: 5, open: async () => Promise.reject(new Error('1.jpg is gone')) };
    const grown: PushFile = { ...fileOf('1.txt', 'longer than it was'), size: 5 };
    const { stored, failed } = await client.push(dataset, [gone, grown, fileOf('2.txt', 'wagon')]);
    expect(stored).toEqual(['2.txt']);
    expect(failed.toSorted((a, b) => a.name.localeCompare(b.name))).toMatchObject([
      { name: '1.jpg', error: { message: '1.jpg is gone' } },
      { name: '1.txt', error: { message: expect.stringContaining('it has 18 bytes now, not 5') } },
    ]);
    const { status, files, counts } = await client.status(dataset.id);
    expect([status, files.length, counts?.pending]).toEqual(['READY', 3, 0]);
    // An image gets its placeholder later.
    expect(files.slice(0, 2)).toMatchObject(before.files);
    expect(proxy.requests('DELETE', '/uploads/').map((seen) => seen.status)).toEqual([200, 200]);
  });

  test('sends files again whose SHA-256 is unknown, on a platform without Web Crypto', async () => {
    const files = await pairs(1);
    await client.push(dataset, files);
    const bytes = Buffer.from(await (await files[0]!.open()).arrayBuffer());
    const known = { ...files[0]!, sha256: async () => sha256(bytes) };
    // As in a page that was loaded over plain HTTP.
    Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined, configurable: true });
    try {
      expect(namesOf(await client.missing(dataset, files))).toEqual(['1.jpg', '1.txt']);
      expect(namesOf(await client.missing(dataset, [known, files[1]!]))).toEqual(['1.txt']);
      const { stored, unchanged, failed } = await client.push(dataset, [known, files[1]!]);
      expect([stored, unchanged, failed]).toEqual([['1.txt'], ['1.jpg'], []]);
    } finally {
      Reflect.deleteProperty(globalThis.crypto, 'subtle');
    }
    expect(await client.missing(dataset, files)).toEqual([]);
  });

  test('stops if the service no longer answers, and sends only the missing files the next time', async () => {
    const hasty = new TrainyardClient({ baseUrl: proxy.url, token, attempts: 2 });
    const files = await pairs(3);
    let away: Promise<void> | undefined;
    proxy.rule(
      onPut(() => {
        if (proxy.requests('PUT', '').length < 4) return undefined;
        away ??= proxy.goAway();
        return { resetAfterBytes: 1 };
      }),
    );
    let settled = 0;
    const outcomes: [PushFile, PushOutcome, string?][] = [];
    const listeners = {
      onProgress: ({ finishedFiles }: PushProgress) => {
        settled = finishedFiles;
      },
      onFileFinished: (...outcome: [PushFile, PushOutcome, string?]) => outcomes.push(outcome),
    };
    await expect(hasty.push(dataset, files, { concurrency: 1, ...listeners })).rejects.toThrow('fetch failed');
    await away;
    expect(settled).toBe(3);
    expect(outcomes).toEqual(
      files.slice(0, 3).map((file) => [file, 'stored', expect.stringMatching(/^[0-9a-f]{64}$/)]),
    );
    await proxy.comeBack();
    proxy.rule();
    const before = proxy.requests('PUT', '').length;
    expect(await client.push(dataset, files)).toMatchObject({ unchanged: { length: 3 }, stored: { length: 3 } });
    expect(proxy.requests('PUT', '')).toHaveLength(before + 3);
    expect(await client.status(dataset.id)).toMatchObject({ status: 'READY' });
  });

  test('stops if the dataset is deleted or the disk is full, instead of trying every file', async () => {
    const files = await pairs(2);
    proxy.rule(
      onPut(async () => {
        await clientAt(server.url).remove(dataset.id);
        return undefined;
      }),
    );
    await expect(client.push(dataset, files, { concurrency: 1 })).rejects.toMatchObject({ status: 404 });
    expect(proxy.requests('PUT', '')).toHaveLength(1);
    proxy.rule(onPut(() => ({ status: 507 })));
    await expect(client.push(await client.create(), files, { concurrency: 1 })).rejects.toMatchObject({ status: 507 });
    expect(proxy.requests('PUT', '')).toHaveLength(2);
  });

  test('rejects with the reason of its signal, in a wait and in the middle of a file', async () => {
    proxy.rule(onPut(() => ({ holdAfterBytes: 1 })));
    const stop = new AbortController();
    const { signal } = stop;
    const waiting = client.waitUntilReady(dataset.id, { signal });
    const pushing = client.push(dataset, await pairs(4), { signal });
    await eventually(() => (proxy.requests('PUT', '').some(({ bytes }) => bytes > 0) ? true : undefined));
    stop.abort(new Error('enough'));
    for (const call of [waiting, pushing, client.list({ signal })]) await expect(call).rejects.toThrow('enough');
    expect(proxy.requests('PUT', '').length).toBeLessThanOrEqual(4);
  });

  test('works with a service that has only the public contract', async () => {
    const plain = await startProxy(server.url, { isContractOnly: true });
    try {
      client = clientAt(plain.url);
      dataset = await client.create();
      expect(dataset.counts).toBeUndefined();
      const files = await pairs(2);
      plain.rule(onPut(({ time }) => (time === 1 ? 'lose-answer' : undefined)));
      expect(await client.push(dataset, files)).toMatchObject({ stored: { length: 4 }, failed: [] });
      const ready = await client.waitUntilReady(dataset.id);
      expect([ready.status, Object.keys(ready.files[0]!)]).toEqual(['READY', ['filename', 'size_bytes']]);
      await expect(client.manifest(dataset.id)).rejects.toMatchObject({ status: 404 });
      // Without hashes, the client can't know that the files are unchanged.
      plain.rule();
      expect(await client.push(dataset, files)).toMatchObject({ stored: { length: 4 }, unchanged: [] });
      const gone: PushFile = { name: 'gone.jpg', size: 5, open: async () => Promise.reject(new Error('gone')) };
      const rest = await client.push(dataset, [gone, fileOf('3.txt', 'wagon')]);
      expect([rest.stored, namesOf(rest.failed)]).toEqual([['3.txt'], ['gone.jpg']]);
      await client.remove((await client.find(dataset.name))!.id);
    } finally {
      await plain.close();
    }
  });
});

const bytesOf = (text: string) => new Blob([text]);

/** A dataset whose second revision adds `b.txt` to `a.txt`, and a pending upload of `c.txt`. */
async function newFixture() {
  const client = clientAt(server.url);
  const { id } = await client.create();
  const a = await client.upload(id, 'a.txt', bytesOf('wagon'));
  // Ends the first revision.
  await client.history.pin(id, 1);
  await client.upload(id, 'b.txt', bytesOf('train'));
  await client.uploadLinks(id, { 'c.txt': 5 });
  return { id, a };
}

type Fixture = Awaited<ReturnType<typeof newFixture>>;

/** Changes a dataset. @returns the part of the answer that is the same for each fixture */
type Change = (client: TrainyardClient, fixture: Fixture) => Promise<unknown>;

/** All changes of the client that are repeated after a lost answer and have a result that depends on what is there. */
const CHANGES: Record<string, Change> = {
  'an upload of a new file': async (client, { id }) => {
    const { kind, etag } = await client.upload(id, 'é.txt', bytesOf('freight'), { ifMatch: null });
    return { kind, etag };
  },
  'a push, also of an empty file': (client, { id, a }) => {
    const file = (name: string, text: string) => ({ name, size: text.length, open: async () => bytesOf(text) });
    const ifMatch = { 'a.txt': a.etag, 'empty.txt': null };
    return client.push({ id }, [file('a.txt', 'freight'), file('empty.txt', '')], { ifMatch, concurrency: 1 });
  },
  captions: async (client, { id, a }) => {
    const captions = await client.bulk.saveCaptions(id, [
      { filename: 'a.txt', text: 'freight', ifMatch: a.etag },
      { filename: 'b.txt', text: 'is in conflict', ifMatch: a.etag },
      { filename: 'd.txt', text: 'é', ifMatch: null },
      { filename: 'e.txt', text: 'yard' },
    ]);
    return captions.map(({ file, ...caption }) => ({ ...caption, etag: file?.etag }));
  },
  'the removal of a file that was read': (client, { id, a }) => client.removeFile(id, 'a.txt', { ifMatch: a.etag }),
  'a withdrawal': (client, { id }) => client.withdraw(id, 'c.txt'),
  'a restored revision': async (client, { id }) => {
    const { restored, revision } = await client.history.restore(id, 1);
    return { restored, number: revision.number };
  },
  'a revision that is undone': async (client, { id }) => {
    const { revision, ...answer } = await client.history.undo(id, 2);
    return { ...answer, number: revision?.number };
  },
  'the removal of a dataset': (client, { id }) => client.remove(id),
};

/** The files and the revisions of a dataset; the status of the error if it is gone. */
async function stateOf({ id }: Fixture): Promise<unknown> {
  const client = clientAt(server.url);
  try {
    const { files, awaited } = await client.status(id);
    const { revisions } = await client.history.revisions(id);
    return {
      files: files.map(({ filename, etag }) => [filename, etag]),
      awaited: awaited?.map(({ filename }) => filename),
      revisions: revisions.map(({ number, how, added, removed, changed }) => [number, how, added, removed, changed]),
    };
  } catch (error) {
    if (error instanceof TrainyardError) return error.status;
    throw error;
  }
}

describe('a change whose first answer is lost has the result of one whose answer arrives', () => {
  for (const [name, change] of Object.entries(CHANGES)) {
    test(name, async () => {
      const [direct, repeated] = [await newFixture(), await newFixture()];
      const answer = await change(clientAt(server.url), direct);
      proxy.rule(({ method, time }) => (method !== 'GET' && time === 1 ? 'lose-answer' : undefined));
      expect(await change(clientAt(proxy.url), repeated)).toEqual(answer);
      expect(proxy.seen.some(({ method, status }) => method !== 'GET' && status === undefined)).toBe(true);
      expect(await stateOf(repeated)).toEqual(await stateOf(direct));
    });
  }
});

describe('what another client did meanwhile stays', () => {
  const CONDITIONAL: Record<string, Change> = {
    'an upload': (client, { id, a }) =>
      client.upload(id, 'a.txt', bytesOf('mine'), { ifMatch: a.etag }).catch(({ current }) => current),
    'the removal of files': async (client, { id, a }) =>
      (await client.bulk.removeFiles(id, ['a.txt'], { ifMatch: { 'a.txt': a.etag } }))[0]?.current,
  };
  for (const [name, change] of Object.entries(CONDITIONAL)) {
    test(`after ${name} whose answer was lost`, async () => {
      const fixture = await newFixture();
      // As long as that of the change, so that the bytes are compared.
      let theirs: string | undefined;
      proxy.rule(async ({ time }) => {
        if (time === 1) return 'lose-answer';
        theirs = (await clientAt(server.url).upload(fixture.id, 'a.txt', bytesOf('them'))).etag;
        return undefined;
      });
      expect(await change(clientAt(proxy.url), fixture)).toEqual({ etag: theirs, size_bytes: 4 });
      expect(await (await clientAt(server.url).file(fixture.id, 'a.txt')).text()).toBe('them');
    });
  }
});
