import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BlobChanged } from '../../../../src/storage/blobs/blobs.js';
import { S3Bucket } from '../../../../src/storage/blobs/s3/bucket.js';
import { connect, TIMEOUTS } from '../../../../src/storage/blobs/s3/connection.js';
import { parseS3Url } from '../../../../src/storage/blobs/s3/location.js';
import { linkSigner } from '../../../../src/storage/blobs/s3/presigning.js';
import { onS3, openS3, stagedIn } from '../../../harness/backends.js';
import { linkCredentials } from '../../../harness/s3.js';
import { sha256 } from '../../../harness/sha256.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
const limit = { bytes: 100 * MIB, message: 'too much of it' };
const bytesOf = (length: number, seed = 1) => Buffer.alloc(length, `a file ${seed}`);

async function put(url: string, body: Buffer, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { method: 'PUT', body: new Uint8Array(body), headers });
  await response.arrayBuffer();
  return response.status;
}

onS3(() => {
  describe('a presigned link', () => {
    test('accepts a file of exactly its size, and only under its key', async () => {
      const { blobs } = await openS3();
      const { presign } = blobs.presigning!;
      const { url, headers, expiresInSeconds } = await presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect([headers, expiresInSeconds]).toEqual([{}, 60]);
      expect(await put(url, bytesOf(9))).toBe(403);
      expect(await put(url, bytesOf(11))).toBe(403);
      expect(await put(url.replace('/d/a?', '/d/b?'), bytesOf(10))).toBe(403);
      expect(await put(url.replace(/(Signature=)./, '$1_'), bytesOf(10))).toBe(403);
      expect(await stagedIn(blobs)).toEqual([]);
      expect(await put(url, bytesOf(10), { 'content-type': 'image/jpeg' })).toBe(200);
      expect(await stagedIn(blobs, 'd')).toEqual([{ key: 'd/a', changedAt: expect.any(Number) }]);
      expect([await stagedIn(blobs, 'e'), await blobs.read('d/a')]).toEqual([[], undefined]);
    });

    test('leads to an object that is copied as it was inspected, without what its client has said of it', async () => {
      const { blobs, bucket } = await openS3({ spoolBytes: 20 });
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(await put(url, bytesOf(10), { 'content-type': 'text/html', 'x-amz-meta-a': 'b' })).toBe(200);
      const exact = { limit: { ...limit, bytes: 10 }, signal };
      const staged = await blobs.staging.receive('d/a', exact);
      expect(staged).toMatchObject({ sizeBytes: 10, sha256: sha256(bytesOf(10)) });
      const { version } = await staged!.commit();
      expect(await put(url, bytesOf(10, 2))).toBe(200);
      expect(await buffer((await blobs.read('d/a', { version }))!)).toEqual(bytesOf(10));
      const { ContentType, Metadata } = await bucket.client.send(new HeadObjectCommand(bucket.target('d/a')));
      expect([ContentType, Metadata?.a]).toEqual([expect.not.stringContaining('html'), undefined]);
      await blobs.staging.delete(['d/a', 'd/b']);
      // The spool has space for one file of an account.
      expect([await stagedIn(blobs), await blobs.staging.receive('d/a', exact)]).toEqual([[], undefined]);
    });

    test('that is used again between the inspection and the copy stores nothing', async () => {
      const { blobs, bucket } = await openS3();
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      await put(url, bytesOf(10));
      const staged = await blobs.staging.receive('d/a', { limit, signal });
      expect(await put(url, bytesOf(10, 2))).toBe(200);
      await expect(staged!.commit()).rejects.toBeInstanceOf(BlobChanged);
      expect(await bucket.keys()).toEqual(['.staging/d/a']);
    });

    test('is rejected once it has expired, and its lifetime never exceeds the limit of stores', async () => {
      const { blobs } = await openS3();
      const { presign } = blobs.presigning!;
      const { url } = await presign('d/a', { sizeBytes: 10, expiresInSeconds: 1 });
      await expect.poll(() => put(url, bytesOf(10)), { interval: 500 }).toBe(403);
      expect((await presign('d/a', { sizeBytes: 10, expiresInSeconds: 1e7 })).expiresInSeconds).toBe(604_800);
    });

    test('names the host by which clients reach the store, also below an odd prefix', async () => {
      const endpoint = new URL(process.env.TEST_S3_ENDPOINT!);
      endpoint.hostname = 'localhost';
      const below = `it's (a) prefix + ü*!`;
      const { blobs, bucket } = await openS3({ below, parameters: { public_endpoint: endpoint.origin } });
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(new URL(url).hostname).toBe('localhost');
      expect(await put(url, bytesOf(10))).toBe(200);
      await (await blobs.staging.receive('d/a', { limit, signal }))!.commit();
      const { Body } = await bucket.client.send(new GetObjectCommand(bucket.target(`${below}/d/a`)));
      expect((await Body!.transformToByteArray()).length).toBe(10);
    });

    test('lists the headers that the bucket requires for encryption, and is rejected without them', async ({
      skip,
    }) => {
      const kms_key = process.env.TEST_S3_KMS_KEY;
      if (kms_key === undefined) return skip('the store has no key to encrypt with (TEST_S3_KMS_KEY)');
      const warnings: string[] = [];
      const log = (level: string, _facts: object, message: string) => level === 'warn' && warnings.push(message);
      const { blobs, bucket } = await openS3({ parameters: { sse: 'aws:kms', kms_key }, log });
      const location = parseS3Url(bucket.url({ sse: 'aws:kms', kms_key }));
      const connection = await connect(location, TIMEOUTS, linkCredentials());
      onTestFinished(() => connection.close());
      const { sign } = await linkSigner(new S3Bucket(connection, location), connection.signer);
      const { url, headers } = await sign('.staging/d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(await put(url, bytesOf(10))).toBe(403);
      expect(await put(url, bytesOf(10), headers)).toBe(200);
      await (await blobs.stage(Readable.from([bytesOf(10)]), { key: 'd/b', limit, signal })).commit();
      const large = Readable.from([bytesOf(11 * MIB)], { objectMode: false });
      await (await blobs.stage(large, { key: 'd/c', limit, signal })).commit();
      for (const key of ['.staging/d/a', 'd/b', 'd/c']) {
        const { SSEKMSKeyId } = await bucket.client.send(new HeadObjectCommand(bucket.target(key)));
        expect([key, SSEKMSKeyId]).toEqual([key, kms_key]);
      }
      // A store that could not copy the object would accept uploads that never become files.
      const committed = (await blobs.staging.receive('d/a', { limit, signal }))!.commit();
      if (blobs.presigning !== undefined) return void (await committed);
      await expect(committed).rejects.toMatchObject({ code: 'unavailable' });
      expect(warnings).toEqual([expect.stringContaining('the store copies no encrypted objects')]);
    });
  });

  test('lists and deletes what was uploaded for a dataset, and nothing else', async () => {
    const { blobs, bucket } = await openS3();
    const write = (key: string) => bucket.client.send(new PutObjectCommand({ ...bucket.target(key), Body: 'x' }));
    const names = ['d/0000', 'd/0001', 'd/0002'];
    for (const name of names) await write(`.staging/${name}`);
    await write('.staging/d2/0000');
    await write('d/0000');
    expect((await stagedIn(blobs, 'd')).map(({ key }) => key)).toEqual(names);
    await blobs.staging.delete(names);
    expect(await bucket.keys()).toEqual(['.staging/d2/0000', 'd/0000']);
  });
});
