import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inspect } from '../../../src/dataset/inspect/inspect.js';
import { acquireLease } from '../../../src/dataset/upload-transitions.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { cleanUp } from '../../../src/service/upload/cleanup.js';
import type { SignedUpload } from '../../../src/service/upload/upload-links.js';
import { Uploads } from '../../../src/service/upload/uploads.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { DiskBlobs } from '../../../src/storage/blobs/disk/disk-blobs.js';
import { type OpenCatalog, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { whyNoPostgres } from '../../harness/available.js';
import { newRoot } from '../../harness/mounting.js';
import { databaseForTest, proxiedForTest } from '../../harness/postgres.js';

const SECOND = 1_000_000;
const LEASE = 60 * SECOND;
const BYTES = 'a caption';

/** A service whose clock can be put forward, and whose inspection waits where it is told to. */
async function openService(databaseUrl?: string) {
  const folder = await newRoot();
  const metadata: OpenCatalog = await openCatalog({ dataFolder: folder, blobGrace: 0, databaseUrl });
  onTestFinished(metadata.close);
  const blobs = await DiskBlobs.open(join(folder, 'blobs'));
  onTestFinished(() => blobs.close());
  const { catalog, accounts } = metadata;
  const time = { ahead: 0 };
  let atGate = async () => {};
  const parts: ServiceDependencies = {
    catalog,
    blobs,
    now: () => metadata.now() + time.ahead,
    rules: { captionGrace: 0, linkLifetime: 3600 * SECOND, maxLinkBytes: 1000, leaseDuration: LEASE },
    inspect: async (file) => {
      await atGate();
      if (!('path' in file)) throw new Error('The bytes are not in a file of this machine.');
      return inspect(file);
    },
    newId: () => randomUUID().replaceAll('-', ''),
  };
  const uploads = new Uploads(parts);
  const { token } = await accounts.createToken('tester', 1);
  const key = { accountId: (await accounts.accountOf(token))!, id: parts.newId() };
  await catalog.createDataset({ ...key, name: 'dogs', createdAt: 1 });
  const [file] = (await uploads.reserveBatch(key, new Map([['a.txt', BYTES.length]]))).values();
  if (file?.upload.expectedBytes == null) throw new Error('nothing was promised');
  const link = { fileId: file.id, sizeBytes: BYTES.length, expiresAt: file.upload.expiresAt } as SignedUpload;
  return {
    ...parts,
    parts,
    time,
    uploads,
    key,
    file,
    blobKey: blobKeyOf(file),
    /** Begins an upload and returns when its bytes are about to be looked at; they are once it is woken. */
    asleep: async (begin: () => Promise<unknown>) => {
      let wake = () => {};
      let ended: Promise<string> | undefined;
      await new Promise<void>((arrived) => {
        atGate = () => {
          atGate = async () => {};
          arrived();
          return new Promise((resolve) => {
            wake = resolve;
          });
        };
        ended = codeOf(begin());
      });
      return {
        wake: () => {
          wake();
          return ended;
        },
      };
    },
    put: (text = BYTES) => uploads.receiveLink(link, text.length, arrivalOf(text)),
    direct: (name: string) => uploads.receiveDirect(key, name, arrivalOf(BYTES)),
    textOf: async () => {
      const bytes = await blobs.read(blobKeyOf(file));
      return bytes && (await buffer(bytes)).toString();
    },
  };
}

function arrivalOf(text: string) {
  return { body: Readable.from([Buffer.from(text)]), signal: new AbortController().signal };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'stored',
    (error) => String(error.code),
  );

describe('whoever sleeps past the lease', () => {
  test('does no harm to the upload that took over', async () => {
    const service = await openService();
    const sleeper = await service.asleep(() => service.put('from one.'));
    // Another instance: it knows nothing of what this one is taking in.
    const other = new Uploads(service.parts);
    service.time.ahead = LEASE + SECOND;
    await cleanUp(service.parts);
    const link = { fileId: service.file.id, sizeBytes: BYTES.length, expiresAt: service.file.upload.expiresAt };
    await other.receiveLink(link as SignedUpload, BYTES.length, arrivalOf('from two.'));
    expect(await sleeper.wake()).toBe('upload_finalized');
    expect(await service.textOf()).toBe('from two.');
    expect((await service.catalog.file(service.file.id))?.upload.state).toBe('stored');
    service.time.ahead = 3 * LEASE;
    await cleanUp(service.parts);
    expect(await service.textOf()).toBe('from two.');
  });

  test('leaves the promise to whoever holds it now, also with its own bytes in place', async () => {
    const service = await openService();
    const sleeper = await service.asleep(() => service.put());
    service.time.ahead = LEASE + SECOND;
    const { id, datasetId, filename } = service.file;
    const lease = { now: service.now(), until: service.now() + LEASE, token: 'somebody else' };
    const change = { datasetId, filenames: [filename], now: lease.now, isActivity: true };
    expect(await service.catalog.change(change, (group) => acquireLease(group, id, lease))).toBeDefined();
    expect(await sleeper.wake()).toBe('unavailable');
    expect((await service.catalog.file(id))?.upload).toMatchObject({ state: 'pending', leaseToken: 'somebody else' });
    // What it left under the key stands in the way of one attempt and of no more.
    service.time.ahead += LEASE + SECOND;
    expect(await codeOf(service.put())).toBe('unavailable');
    expect(await codeOf(service.put())).toBe('stored');
    expect(await service.textOf()).toBe(BYTES);
  });

  test('leaves no bytes of a file that is gone', async () => {
    const service = await openService();
    const sleeper = await service.asleep(() => service.direct('b.txt'));
    const [promised] = (await service.catalog.files(service.key.id)).filter((file) => file.filename === 'b.txt');
    service.time.ahead = LEASE + SECOND;
    await cleanUp(service.parts);
    expect(await sleeper.wake()).toBe('link_withdrawn');
    expect(await service.blobs.read(blobKeyOf(promised!))).toBeUndefined();
  });
});

describe.skipIf(whyNoPostgres() !== undefined)('an upload whose last answer from the database is lost', () => {
  const LAST_TRIP = /insert into "file"[\s\S]*update "dataset"[\s\S]*commit/;

  test('is told as what it is: kept', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const service = await openService(url);
    const upload = await service.asleep(() => service.put());
    proxy.breakAt(LAST_TRIP, /COMMIT/);
    expect(await upload.wake()).toBe('stored');
    expect((await service.catalog.file(service.file.id))?.upload.state).toBe('stored');
    expect(await service.textOf()).toBe(BYTES);
  });

  test('is unavailable and leaves nothing where the database never heard of it', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const service = await openService(url);
    const upload = await service.asleep(() => service.put());
    proxy.breakAt(LAST_TRIP);
    expect(await upload.wake()).toBe('unavailable');
    expect((await service.catalog.file(service.file.id))?.upload).toMatchObject({ state: 'pending', leaseToken: null });
    expect(await service.textOf()).toBeUndefined();
    expect(await codeOf(service.put())).toBe('stored');
  });
});
