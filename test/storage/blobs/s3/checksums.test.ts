import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AbortMultipartUploadCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, onTestFinished, test } from 'vitest';
import { BlobDamaged } from '../../../../src/storage/blobs/blobs.js';
import { TIMEOUTS, type Timeouts } from '../../../../src/storage/blobs/s3/connection/timeouts.js';
import { onS3, openS3 } from '../../../harness/backends.js';
import { type Fault, startProxy } from '../../../harness/proxy.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
const bytes = Buffer.from('the bytes of a file');
/** As large as the spool of `openS3`. */
const limit = { bytes: 10_000_000, message: 'too much of it' };
const md5Of = (body: Buffer) => createHash('md5').update(body).digest('hex');

const flipped: Fault = {
  alter: ({ headers, body }) => {
    const changed = Buffer.from(body);
    changed[changed.length >> 1]! ^= 1;
    return { headers, body: changed };
  },
};
const shortened: Fault = { alter: ({ headers, body }) => ({ headers, body: body.subarray(0, -3) }) };
const retagged: Fault = {
  alter: ({ headers, body }) => ({ headers: { ...headers, etag: `"${md5Of(Buffer.from('no such bytes'))}"` }, body }),
};

/** A store behind a proxy that injects a fault into the first `times` requests of a method for a key. */
async function openFaulty(options: { spoolBytes?: number; timeouts?: Timeouts } = {}) {
  const proxy = await startProxy(process.env.TEST_S3_ENDPOINT!);
  onTestFinished(() => proxy.close());
  const opened = await openS3({ ...options, parameters: { endpoint: proxy.url } });
  const inject = (fault: Fault, { method, times, part = 'd/a' }: { method: string; times: number; part?: string }) => {
    let left = times;
    proxy.rule((seen) => (seen.method === method && seen.path.includes(part) && left-- > 0 ? fault : undefined));
  };
  const stage = (body = bytes) =>
    opened.blobs.stage(Readable.from([body], { objectMode: false }), { key: 'd/a', limit, signal });
  const fetchIt = async () => {
    const fetched = await opened.blobs.fetch('d/a', { limit, sizeBytes: bytes.length, signal });
    await fetched?.discard();
    return fetched?.sha256;
  };
  return { ...opened, proxy, inject, stage, fetchIt };
}

onS3(() => {
  test.each([
    ['with a flipped bit', flipped, 'checksum'],
    ['that is too short', shortened, `${bytes.length - 3} of ${bytes.length} bytes`],
    ['with another ETag', retagged, 'checksum'],
  ])('an answer %s is read once more, and a second one is an error', async (_, fault, reason) => {
    const { blobs, inject, stage, fetchIt } = await openFaulty();
    await (await stage()).commit();
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    inject(fault, { method: 'GET', times: 1 });
    expect(await fetchIt()).toBe(sha256);
    inject(fault, { method: 'GET', times: 2 });
    const error = await fetchIt().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(BlobDamaged);
    expect(error.reason).toContain(reason);
    // All of the spool is free again.
    await (await blobs.fetch('d/a', { limit, signal }))?.discard();
  });

  test('a wrong ETag in the answer to a PUT does not become the version', async () => {
    const { blobs, inject, stage } = await openFaulty();
    inject(retagged, { method: 'PUT', times: 1 });
    const { version } = await (await stage()).commit();
    expect(version).toBe(md5Of(bytes));
    expect((await (await blobs.read('d/a', { version }))!.toArray()).join('')).toBe(bytes.toString());
  });

  test('a file that the store has stored with other bytes is deleted, and its client is told to send it again', async () => {
    const { bucket, proxy, stage } = await openFaulty();
    const staged = await stage();
    proxy.rule(({ method, path }) => {
      if (!path.includes('d/a')) return undefined;
      return method === 'PUT' ? retagged : method === 'GET' ? flipped : undefined;
    });
    await expect(staged.commit()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await bucket.keys()).toEqual([]);
  });

  test.each([
    ['falls silent', 'stall-answer'],
    ['breaks off', 'cut-answer'],
  ] as const)('a store that %s while its bytes are compared is unavailable', async (_, fault) => {
    // Without a limit for the silence, the test would wait for the deadline. The store is silent for a second on a busy machine.
    const { proxy, stage } = await openFaulty({ timeouts: { ...TIMEOUTS, idleMs: 5000, totalMs: 3_600_000 } });
    const staged = await stage();
    proxy.rule(({ method, path }) => {
      if (!path.includes('d/a')) return undefined;
      return method === 'PUT' ? retagged : method === 'GET' ? fault : undefined;
    });
    await expect(staged.commit()).rejects.toMatchObject({ code: 'unavailable' });
    expect(proxy.requests('PUT', 'd/a')).toHaveLength(1);
  });

  test('a part with a wrong ETag is sent once more', async () => {
    const { bucket, inject, stage } = await openFaulty({ spoolBytes: MIB });
    const large = Buffer.alloc(9 * MIB, 'x');
    inject(retagged, { method: 'PUT', times: 1, part: 'partNumber=1' });
    await (await stage(large)).commit();
    expect(await bucket.keys()).toEqual(['d/a']);
    await bucket.empty();
    inject(retagged, { method: 'PUT', times: 2, part: 'partNumber=1' });
    await expect(stage(large)).rejects.toMatchObject({ code: 'unavailable' });
    expect([await bucket.keys(), await bucket.unfinished()]).toEqual([[], []]);
  });

  test('a file of which the store has combined only some parts is deleted, and its client is told to send it again', async () => {
    const { bucket, proxy, stage } = await openFaulty({ spoolBytes: MIB });
    const large = Buffer.alloc(9 * MIB, 'x');
    proxy.rule(async ({ method, path }) => {
      const UploadId = new URLSearchParams(path.split('?')[1]).get('uploadId');
      if (method !== 'POST' || UploadId === null) return undefined;
      // Ceph itself combines all parts or none.
      const object = bucket.target('d/a');
      await bucket.client.send(new AbortMultipartUploadCommand({ ...object, UploadId }));
      const { ETag } = await bucket.client.send(new PutObjectCommand({ ...object, Body: large.subarray(0, 8 * MIB) }));
      const result = `<CompleteMultipartUploadResult><ETag>${ETag}</ETag></CompleteMultipartUploadResult>`;
      return { status: 200, headers: { 'content-type': 'application/xml' }, body: result };
    });
    await expect(stage(large)).rejects.toMatchObject({ code: 'unavailable', message: /other bytes than it was sent/ });
    expect([await bucket.keys(), await bucket.unfinished()]).toEqual([[], []]);
  });

  test('ETags that are no MD5 are not compared: of encrypted objects, of parts, and of other stores', async ({
    skip,
  }) => {
    const kms_key = process.env.TEST_S3_KMS_KEY;
    if (kms_key === undefined) return skip('the store has no key to encrypt with (TEST_S3_KMS_KEY)');
    const { blobs, bucket } = await openS3();
    const encrypted = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kms_key } as const;
    await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/a'), ...encrypted, Body: bytes }));
    await (await blobs.fetch('d/a', { limit, signal }))!.discard();

    const proxy = await startProxy(process.env.TEST_S3_ENDPOINT!);
    onTestFinished(() => proxy.close());
    proxy.rule(({ method }) =>
      method === 'PUT'
        ? { alter: ({ headers, body }) => ({ headers: { ...headers, ...(headers.etag && { etag: '"7"' }) }, body }) }
        : undefined,
    );
    const other = await openS3({ parameters: { endpoint: proxy.url } });
    expect(other.blobs.capabilities.tagsAreMd5).toBe(false);
    const staged = await other.blobs.stage(Readable.from([bytes]), { key: 'd/a', limit, signal });
    expect(await staged.commit()).toEqual({ version: '7' });
  });

  test('an object that its client has encrypted with a key of its own is an error', async () => {
    const { bucket, fetchIt } = await openFaulty();
    const key = Buffer.alloc(32, 'k');
    const customer = {
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: key.toString('base64'),
      SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
    };
    await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/a'), ...customer, Body: bytes }));
    await expect(fetchIt()).rejects.toThrow(/does not return it/);
  });
});
