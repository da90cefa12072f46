import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { inspect } from '../../../src/dataset/inspect/inspect.js';
import { acquireLease } from '../../../src/dataset/upload-transitions.js';
import { Quota } from '../../../src/storage/limits.js';
import type { SignedUpload } from '../../../src/service/signed-links.js';
import { releaseLeases } from '../../../src/service/upload/upload-lease.js';
import { Uploads } from '../../../src/service/upload/uploads.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { laptop } from '../../harness/author.js';
import { whyNoPostgres } from '../../harness/available.js';
import { storeBlob } from '../../harness/backends.js';
import { Gate } from '../../harness/gate.js';
import { databaseForTest, proxiedForTest } from '../../harness/postgres.js';
import { openPlace, SECOND } from '../check/check-service.js';

const LEASE = 60 * SECOND;
const BYTES = 'a caption';
const NEW = { ifNoneMatch: '*' } as const;

/** A service whose clock can be advanced, and whose inspections can be paused. */
async function openService(databaseUrl?: string) {
  const { blobs, key, time, newInstance } = await openPlace({ databaseUrl });
  let beforeInspect = async () => {};
  const { dependencies } = newInstance({
    leaseDuration: LEASE,
    inspect: async (file) => {
      await beforeInspect();
      return inspect(file);
    },
  });
  const [uploads, other] = [1, 2].map(() => new Uploads(dependencies, new Quota({ ofAccount: 1, what: 'uploads' })));
  const conditions = new Map([['a.txt', NEW]]);
  const reserved = await uploads!.reserve(key, new Map([['a.txt', BYTES.length]]), { author: laptop, conditions });
  const file = reserved.get('a.txt');
  if (file?.upload.expectedBytes == null) throw new Error('nothing was reserved');
  const link = { fileId: file.id, sizeBytes: BYTES.length, expiresAt: file.upload.expiresAt } as SignedUpload;
  return {
    ...dependencies,
    dependencies,
    time,
    key,
    file,
    /** Starts an upload and pauses it before its bytes are inspected, until `resume` is called. */
    stall: async (begin: () => Promise<unknown>) => {
      const [reached, resumed] = [new Gate(), new Gate()];
      beforeInspect = () => {
        beforeInspect = async () => {};
        reached.open();
        return resumed.opened;
      };
      const ended = codeOf(begin());
      await reached.opened;
      const resume = () => {
        resumed.open();
        return ended;
      };
      return { resume };
    },
    put: (text = BYTES, at = uploads!) => at.receiveLink(link, text.length, incomingBody(text)),
    direct: (name: string, at = uploads!) => at.receiveDirect(key, name, { ...incomingBody(BYTES), author: laptop }),
    /** Another instance, which does not know what this one is receiving. */
    other: other!,
    textOf: async () => {
      const bytes = await blobs.read(blobKeyOf(file));
      return bytes && (await buffer(bytes)).toString();
    },
  };
}

function incomingBody(text: string) {
  return { body: Readable.from([Buffer.from(text)]), signal: new AbortController().signal };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'stored',
    (error) => String(error.code),
  );

describe('an upload that stalls past its lease', () => {
  test('does not damage the upload that took over', async () => {
    const service = await openService();
    const stalled = await service.stall(() => service.put('from one.'));
    service.time.ahead = LEASE + SECOND;
    // A process that is killed before it records the file leaves them.
    await storeBlob(service.blobs, blobKeyOf(service.file), Buffer.from('leftover.'));
    await releaseLeases(service.dependencies);
    await service.put('from two.', service.other);
    expect(await stalled.resume()).toBe('upload_finalized');
    expect(await service.textOf()).toBe('from two.');
    expect((await service.catalog.file(service.file.id))?.upload.state).toBe('stored');
    service.time.ahead = 3 * LEASE;
    await releaseLeases(service.dependencies);
    expect(await service.textOf()).toBe('from two.');
  });

  test('leaves the upload to the new holder, even after writing its bytes', async () => {
    const service = await openService();
    const stalled = await service.stall(() => service.put());
    service.time.ahead = LEASE + SECOND;
    const { id, datasetId, filename } = service.file;
    const lease = { now: service.now(), until: service.now() + LEASE, token: 'another holder' };
    const change = { datasetId, filenames: [filename], now: lease.now, isActivity: true };
    expect(await service.catalog.change(change, (group) => acquireLease(group, id, lease))).toBeDefined();
    expect(await stalled.resume()).toBe('unavailable');
    expect((await service.catalog.file(id))?.upload).toMatchObject({ state: 'pending', leaseToken: 'another holder' });
    // The bytes it left under the key make one attempt fail, and no later one.
    service.time.ahead += LEASE + SECOND;
    expect(await codeOf(service.put())).toBe('unavailable');
    expect(await codeOf(service.put())).toBe('stored');
    expect(await service.textOf()).toBe(BYTES);
  });

  test.each([
    ['by its owner', 0, 'link_withdrawn'],
    ['by cleanup, since its lease was not renewed', LEASE + SECOND, 'unavailable'],
  ])('leaves no bytes of a file that was removed %s', async (_, ahead, code) => {
    const service = await openService();
    const stalled = await service.stall(() => service.direct('b.txt'));
    const [pending] = (await service.catalog.files(service.key.id)).filter((file) => file.filename === 'b.txt');
    service.time.ahead = ahead;
    if (code === 'unavailable') await releaseLeases(service.dependencies);
    else await service.catalog.deleteDataset(service.key, service.now());
    expect(await stalled.resume()).toBe(code);
    expect(await service.blobs.read(blobKeyOf(pending!))).toBeUndefined();
  });
});

test('an upload that can not be inspected leaves no bytes behind', async () => {
  const { folder, newInstance } = await openPlace();
  const { upload } = newInstance({ inspect: () => Promise.reject(new Error('no process')) });
  await expect(upload('a.txt', BYTES)).rejects.toThrow('no process');
  expect(await readdir(join(folder, 'blobs', 'staging'))).toEqual([]);
});

test('an upload that finds another file in the place that was to be free stores nothing, and ends its link', async () => {
  const service = await openService();
  const stalled = await service.stall(() => service.put());
  await service.direct('a.txt', service.other);
  expect(await stalled.resume()).toBe('precondition_failed');
  expect([await service.catalog.file(service.file.id), await service.textOf()]).toEqual([undefined, undefined]);
  // It is known before the bytes are.
  const body = new Readable({ read: () => expect.unreachable() });
  const unsent = { ...incomingBody(''), body, author: laptop, condition: NEW };
  expect(await codeOf(service.other.receiveDirect(service.key, 'a.txt', unsent))).toBe('precondition_failed');
});

test('an upload whose file was replaced before its response is lost is stored, and the history keeps its bytes', async () => {
  const service = await openService();
  const { catalog } = service;
  const stalled = await service.stall(() => service.put());
  const change = catalog.change.bind(catalog);
  catalog.change = async (...finalizing) => {
    catalog.change = change;
    await change(...finalizing);
    await service.other.receiveDirect(service.key, 'a.txt', { ...incomingBody('another'), author: laptop });
    throw new Error('the connection was reset');
  };
  expect(await stalled.resume()).toBe('stored');
  expect([await catalog.file(service.file.id), await service.textOf()]).toEqual([undefined, BYTES]);
});

test('an upload beyond the limit of its account leaves its link as it was, and each counts until it has ended', async () => {
  const service = await openService();
  const stalled = await service.stall(() => service.direct('b.txt'));
  const beyond = [service.put(), service.direct('c.txt')].map(codeOf);
  expect(await Promise.all(beyond)).toEqual(['too_many_requests', 'too_many_requests']);
  const ended = [await stalled.resume(), await codeOf(service.put()), await codeOf(service.direct('c.txt'))];
  expect(ended).toEqual(['stored', 'stored', 'stored']);
});

describe.skipIf(whyNoPostgres() !== undefined)('an upload whose last response from the database is lost', () => {
  const LAST_TRIP = /insert into file[\s\S]*update dataset[\s\S]*commit/;

  test.each([
    ['is reported as stored', /COMMIT/, 'stored'],
    ['is unavailable and leaves nothing if the database did not receive the change', undefined, 'unavailable'],
  ])('%s', async (_, answer, outcome) => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const service = await openService(url);
    const upload = await service.stall(() => service.put());
    proxy.breakAt(LAST_TRIP, answer);
    expect(await upload.resume()).toBe(outcome);
    const isStored = outcome === 'stored';
    const state = isStored ? { state: 'stored' } : { state: 'pending', leaseToken: null };
    expect((await service.catalog.file(service.file.id))?.upload).toMatchObject(state);
    expect(await service.textOf()).toBe(isStored ? BYTES : undefined);
    if (!isStored) expect(await codeOf(service.put())).toBe('stored');
  });
});
