import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { BlobChanged } from '../../../../src/storage/blobs/blobs.js';
import { onS3, openS3 } from '../../../harness/backends.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
const limit = { bytes: 100 * MIB, message: 'too much of it' };
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
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
      expect(await blobs.listObjects('d')).toEqual({ objects: [], next: undefined });
      expect(await put(url, bytesOf(10), { 'content-type': 'image/jpeg' })).toBe(200);
      const { objects } = await blobs.listObjects('d');
      const [upload] = objects;
      expect(objects).toEqual([
        { key: 'd/a', sizeBytes: 10, version: upload?.version, lastModified: expect.any(Date) },
      ]);
      const fetched = await blobs.fetch('d/a', { limit, signal, version: upload!.version });
      expect(fetched).toMatchObject({ sizeBytes: 10, sha256: sha256Of(bytesOf(10)), version: upload!.version });
      await fetched!.discard();
    });

    test('that is used again with other bytes is detected by the version', async () => {
      const { blobs } = await openS3();
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      await put(url, bytesOf(10));
      const { version } = (await blobs.listObjects('d')).objects[0]!;
      expect(await put(url, bytesOf(10, 2))).toBe(200);
      await expect(blobs.read('d/a', { version })).rejects.toBeInstanceOf(BlobChanged);
    });

    test('is rejected once it has expired, and its lifetime never exceeds the limit of stores', async () => {
      const { blobs } = await openS3();
      const { presign } = blobs.presigning!;
      const { url } = await presign('d/a', { sizeBytes: 10, expiresInSeconds: 1 });
      await expect.poll(() => put(url, bytesOf(10)), { interval: 500 }).toBe(403);
      expect((await presign('d/a', { sizeBytes: 10, expiresInSeconds: 1e7 })).expiresInSeconds).toBe(604_800);
    });

    test('names the host by which clients reach the store', async () => {
      const endpoint = new URL(process.env.TEST_S3_ENDPOINT!);
      endpoint.hostname = 'localhost';
      const { blobs } = await openS3({ parameters: { public_endpoint: endpoint.origin } });
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(new URL(url).hostname).toBe('localhost');
      expect(await put(url, bytesOf(10))).toBe(200);
    });

    test('lists the headers that the bucket requires for encryption, and is rejected without them', async ({
      skip,
    }) => {
      const kms_key = process.env.TEST_S3_KMS_KEY;
      if (kms_key === undefined) return skip('the store has no key to encrypt with (TEST_S3_KMS_KEY)');
      const { blobs, bucket } = await openS3({ parameters: { sse: 'aws:kms', kms_key } });
      const { url, headers } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(await put(url, bytesOf(10))).toBe(403);
      expect(await put(url, bytesOf(10), headers)).toBe(200);
      await (await blobs.stage(Readable.from([bytesOf(10)]), { key: 'd/b', limit, signal })).commit();
      const large = Readable.from([bytesOf(11 * MIB)], { objectMode: false });
      await (await blobs.stage(large, { key: 'd/c', limit, signal })).commit();
      for (const key of ['d/a', 'd/b', 'd/c']) {
        const { SSEKMSKeyId } = await bucket.client.send(new HeadObjectCommand(bucket.target(key)));
        expect([key, SSEKMSKeyId]).toEqual([key, kms_key]);
      }
    });

    test('of an odd prefix works too', async () => {
      const { blobs, bucket } = await openS3({ below: `it's (a) prefix + ü*!` });
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(await put(url, bytesOf(10))).toBe(200);
      expect((await blobs.listObjects('d')).objects.map(({ key }) => key)).toEqual(['d/a']);
      const { Body } = await bucket.client.send(new GetObjectCommand(bucket.target(`it's (a) prefix + ü*!/d/a`)));
      expect((await Body!.transformToByteArray()).length).toBe(10);
    });
  });

  test('lists the objects of a dataset page by page, and no others', async () => {
    const { blobs, bucket } = await openS3();
    const names = Array.from({ length: 1005 }, (_, i) => `d/${String(i).padStart(4, '0')}`);
    await Promise.all(
      Array.from({ length: 8 }, async (_, worker) => {
        for (let i = worker; i < names.length; i += 8) {
          await bucket.client.send(new PutObjectCommand({ ...bucket.target(names[i]!), Body: 'x' }));
        }
      }),
    );
    await bucket.client.send(new PutObjectCommand({ ...bucket.target('d2/0000'), Body: 'x' }));
    const first = await blobs.listObjects('d');
    const second = await blobs.listObjects('d', { after: first.next });
    expect(first.objects).toHaveLength(1000);
    expect(second.next).toBeUndefined();
    expect([...first.objects, ...second.objects].map(({ key }) => key)).toEqual(names);
    await blobs.delete(names);
    expect(await bucket.keys()).toEqual(['d2/0000']);
  });
});
