import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { CreateMultipartUploadCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { BlobChanged, type BlobContent } from '../../../../src/storage/blobs/blobs.js';
import { onS3, openS3 } from '../../../harness/backends.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
setMaxListeners(0, signal);
const limit = { bytes: 100 * MIB, message: 'too much of it' };
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Bytes without a repetition. */
function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(Math.imul(at + seed, 2_654_435_761) >>> 0, at);
  return bytes;
}

function* inChunks(bytes: Buffer, chunkBytes = 100_000): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function readerOf(content: BlobContent): (start: number, end: number) => Promise<Buffer> {
  if (!('readAt' in content)) throw new Error('The content is a local file.');
  return (start, end) => content.readAt(start, end, signal);
}

onS3(() => {
  test('deletes its test objects at the start', async () => {
    const { bucket } = await openS3();
    expect([await bucket.keys(), await bucket.unfinished()]).toEqual([[], []]);
  });

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

  describe('a body larger than the spool', () => {
    const spoolBytes = 5 * MIB;
    const bytes = bytesOf(20 * MIB + 123);

    test('is uploaded in parts, hashed meanwhile, and read from the bucket', async () => {
      const { blobs, bucket, spoolFolder } = await openS3({ spoolBytes });
      const body = Readable.from(inChunks(bytes), { objectMode: false });
      const staged = await blobs.stage(body, { key: 'd/long', limit, signal });
      expect(await spooledBytes(spoolFolder)).toBe(0);
      expect([staged.sizeBytes, staged.sha256]).toEqual([bytes.length, sha256Of(bytes)]);
      const readAt = readerOf(staged.content);
      for (const start of [0, 8 * MIB - 5, bytes.length - 10]) {
        expect((await readAt(start, start + 10)).equals(bytes.subarray(start, start + 10))).toBe(true);
      }
      const { version } = await staged.commit();
      expect((await buffer((await blobs.read('d/long', { version }))!)).equals(bytes)).toBe(true);
      const fetched = (await blobs.fetch('d/long', { limit, version, signal }))!;
      expect([fetched.sizeBytes, fetched.sha256]).toEqual([bytes.length, sha256Of(bytes)]);
      expect((await readerOf(fetched.content)(7, 9)).equals(bytes.subarray(7, 9))).toBe(true);
      expect(await bucket.unfinished()).toEqual([]);
    });

    test('is deleted when it is discarded, unless another object has replaced it', async () => {
      const { blobs, bucket } = await openS3({ spoolBytes });
      const stage = () =>
        blobs.stage(Readable.from(inChunks(bytes), { objectMode: false }), { key: 'd/long', limit, signal });
      await (await stage()).discard();
      expect(await bucket.keys()).toEqual([]);
      const staged = await stage();
      await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/long'), Body: 'another' }));
      await expect(staged.commit()).rejects.toMatchObject({ code: 'upload_finalized' });
      await staged.discard();
      expect(await bucket.keys()).toEqual(['d/long']);
    });

    test.each([
      ['a body that fails', 'upload_cut_short'],
      ['a body that is too long', 'too_large'],
      ['an abort', 'enough'],
      ['a conflict over the key', 'upload_finalized'],
    ])('leaves nothing after %s', async (cause, outcome) => {
      const { blobs, bucket } = await openS3({ spoolBytes });
      const abort = new AbortController();
      let few = limit;
      async function* pieces() {
        for (const chunk of inChunks(bytes)) yield chunk;
        if (cause === 'a body that fails') throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
        if (cause === 'an abort') abort.abort(Object.assign(new Error('enough'), { code: 'enough' }));
      }
      if (cause === 'a body that is too long') few = { bytes: bytes.length - 1, message: 'too long' };
      const before = cause === 'a conflict over the key' ? ['d/long'] : [];
      if (before.length > 0) {
        await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/long'), Body: 'the first' }));
      }
      const body = Readable.from(pieces(), { objectMode: false });
      const staging = blobs.stage(body, { key: 'd/long', limit: few, signal: abort.signal });
      await expect(staging).rejects.toMatchObject({ code: outcome });
      expect([await bucket.keys(), await bucket.unfinished()]).toEqual([before, []]);
    });
  });

  test('many concurrent uploads never exceed the spool, and all succeed', async () => {
    const { blobs, bucket, spoolFolder } = await openS3({ spoolBytes: 4 * MIB });
    let mostBytes = 0;
    let isDone = false;
    const watching = (async () => {
      while (!isDone) mostBytes = Math.max(mostBytes, await spooledBytes(spoolFolder));
    })();
    const upload = async (i: number) => {
      const body = Readable.from(inChunks(bytesOf(MIB, i)), { objectMode: false });
      const staged = await blobs.stage(body, { key: `d/${i}`, limit: { bytes: MIB, message: '' }, signal });
      if (i % 5 === 0) return staged.discard();
      await staged.commit();
    };
    await Promise.all(Array.from({ length: 40 }, (_, i) => upload(i)));
    isDone = true;
    await watching;
    expect(mostBytes).toBeGreaterThan(0);
    expect(mostBytes).toBeLessThanOrEqual(4 * MIB);
    expect(await bucket.keys()).toHaveLength(32);
    expect(await spooledBytes(spoolFolder)).toBe(0);
  });

  test('only uploads in parts that began before a moment are aborted', async () => {
    const { blobs, bucket } = await openS3();
    await bucket.client.send(new CreateMultipartUploadCommand(bucket.target('d/a')));
    await blobs.abortUnfinished(Date.now() - 3_600_000);
    expect(await bucket.unfinished()).toEqual(['d/a']);
    await blobs.abortUnfinished(Date.now() + 3_600_000);
    expect(await bucket.unfinished()).toEqual([]);
  });
});

/** The size of the spool in bytes; files may disappear while it is measured. */
async function spooledBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !entry.name.includes('.lock'));
  const sizes = files.map(
    async ({ parentPath, name }) => (await stat(join(parentPath, name)).catch(() => undefined))?.size,
  );
  return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + (size ?? 0), 0);
}
