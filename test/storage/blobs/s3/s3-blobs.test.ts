import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { BlobChanged } from '../../../../src/storage/blobs/blobs.js';
import { onS3, openS3 } from '../../../harness/backends.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
const limit = { bytes: 100 * MIB, message: 'too much of it' };

/** Bytes without a repetition. */
function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(Math.imul(at + seed, 2_654_435_761) >>> 0, at);
  return bytes;
}

function* inChunks(bytes: Buffer, chunkBytes = 100_000): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

onS3(() => {
  test('a read of a version fails once the object was replaced', async () => {
    const { blobs, bucket } = await openS3();
    const staged = await blobs.stage(Readable.from([bytesOf(1000)]), { key: 'd/a', limit, signal });
    const { version } = await staged.commit();
    expect((await buffer((await blobs.read('d/a', { version }))!)).length).toBe(1000);
    await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/a'), Body: bytesOf(1000, 2) }));
    await expect(blobs.read('d/a', { version })).rejects.toBeInstanceOf(BlobChanged);
    await expect(blobs.fetch('d/a', { limit, version, signal })).rejects.toBeInstanceOf(BlobChanged);
    expect((await buffer((await blobs.read('d/a'))!)).equals(bytesOf(1000, 2))).toBe(true);
  });

  test('a file larger than half of the spool is rejected before it is read', async () => {
    const { blobs, bucket } = await openS3({ spoolBytes: 4 * MIB });
    expect(blobs.maxFileBytes).toBe(2 * MIB);
    const body = Readable.from(inChunks(bytesOf(3 * MIB)), { objectMode: false });
    const staging = blobs.stage(body, { key: 'd/long', limit, atMostBytes: 3 * MIB, signal });
    await expect(staging).rejects.toMatchObject({
      code: 'no_space',
      message: expect.stringContaining('at most 2097152 bytes'),
    });
    expect([body.readableDidRead, await bucket.keys()]).toEqual([false, []]);
  });
});
