import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { BlobChanged, type BlobContent } from '../src/storage/blobs.js';
import { onS3, openS3 } from './harness/backends.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
setMaxListeners(0, signal);
const limit = { bytes: 100 * MIB, message: 'too much of it' };
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Bytes no part of which is like another. */
function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(Math.imul(at + seed, 2_654_435_761) >>> 0, at);
  return bytes;
}

function* inChunks(bytes: Buffer, chunkBytes = 100_000): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function afar(content: BlobContent): (start: number, end: number) => Promise<Buffer> {
  if (!('readAt' in content)) throw new Error('It is on this machine.');
  return (start, end) => content.readAt(start, end, signal);
}

async function put(url: string, body: Buffer, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { method: 'PUT', body: new Uint8Array(body), headers });
  await response.arrayBuffer();
  return response.status;
}

onS3(() => {
  test('finds out what the store can do, and leaves nothing of it', async () => {
    const { blobs, bucket } = await openS3();
    // Ceph's gateway; see docs/scaling.md for others.
    if (process.env.TEST_S3_CEPH_HOME !== undefined) {
      expect(blobs.abilities).toEqual({
        keepsFirst: true,
        matchesVersions: true,
        checksBodies: true,
        checksLengths: true,
      });
    }
    expect([await bucket.keys(), await bucket.unfinished()]).toEqual([[], []]);
  });

  test('a version is asked for in vain once somebody has replaced the object', async () => {
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

    test('goes into the bucket in parts, is hashed on the way, and is read there', async () => {
      const { blobs, bucket, spoolFolder } = await openS3({ spoolBytes });
      const body = Readable.from(inChunks(bytes), { objectMode: false });
      const staged = await blobs.stage(body, { key: 'd/long', limit, signal });
      expect(await spooledBytes(spoolFolder)).toBe(0);
      expect([staged.sizeBytes, staged.sha256]).toEqual([bytes.length, sha256Of(bytes)]);
      const at = afar(staged.content);
      for (const start of [0, 8 * MIB - 5, bytes.length - 10]) {
        expect((await at(start, start + 10)).equals(bytes.subarray(start, start + 10))).toBe(true);
      }
      const { version } = await staged.commit();
      expect((await buffer((await blobs.read('d/long', { version }))!)).equals(bytes)).toBe(true);
      const fetched = (await blobs.fetch('d/long', { limit, version, signal }))!;
      expect([fetched.sizeBytes, fetched.sha256]).toEqual([bytes.length, sha256Of(bytes)]);
      expect((await afar(fetched.content)(7, 9)).equals(bytes.subarray(7, 9))).toBe(true);
      expect(await bucket.unfinished()).toEqual([]);
    });

    test('is removed when it is discarded, and its later replacement is not', async () => {
      const { blobs, bucket } = await openS3({ spoolBytes });
      const stage = () =>
        blobs.stage(Readable.from(inChunks(bytes), { objectMode: false }), { key: 'd/long', limit, signal });
      await (await stage()).discard();
      expect(await bucket.keys()).toEqual([]);
      const staged = await stage();
      await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/long'), Body: 'another' }));
      await expect(staged.commit()).rejects.toMatchObject({ code: 'upload_settled' });
      await staged.discard();
      expect(await bucket.keys()).toEqual(['d/long']);
    });

    test.each([
      ['a body that breaks off', 'upload_cut_short'],
      ['a body that is too long', 'too_large'],
      ['a signal that fires', 'enough'],
      ['a key that is taken', 'upload_settled'],
    ])('leaves nothing behind after %s', async (what, outcome) => {
      const { blobs, bucket } = await openS3({ spoolBytes });
      const abort = new AbortController();
      let few = limit;
      async function* pieces() {
        for (const chunk of inChunks(bytes)) yield chunk;
        if (what.endsWith('breaks off')) throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
        if (what.endsWith('fires')) abort.abort(Object.assign(new Error('enough'), { code: 'enough' }));
      }
      if (what.endsWith('too long')) few = { bytes: bytes.length - 1, message: 'too long' };
      const before = what.endsWith('taken') ? ['d/long'] : [];
      if (before.length > 0) {
        await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/long'), Body: 'the first' }));
      }
      const body = Readable.from(pieces(), { objectMode: false });
      const staging = blobs.stage(body, { key: 'd/long', limit: few, signal: abort.signal });
      await expect(staging).rejects.toMatchObject({ code: outcome });
      expect([await bucket.keys(), await bucket.unfinished()]).toEqual([before, []]);
    });
  });

  test('a file that is too large for one PUT goes in parts from the spool', async () => {
    const { blobs, bucket } = await openS3({ spoolBytes: 400 * MIB });
    const piece = bytesOf(MIB);
    const body = () => Readable.from(repeated(piece, 170), { objectMode: false });
    const wide = { bytes: 170 * MIB, message: '' };
    const [first, second] = await Promise.all(
      [1, 2].map(() => blobs.stage(body(), { key: 'd/b', limit: wide, signal })),
    );
    const { version } = await first!.commit();
    expect(version).toMatch(/-\d+$/);
    await expect(second!.commit()).rejects.toMatchObject({ code: 'upload_settled' });
    const { ContentLength } = await bucket.client.send(new HeadObjectCommand(bucket.target('d/b')));
    expect([ContentLength, await bucket.unfinished()]).toEqual([170 * MIB, []]);
    const range = { start: 100 * MIB - 3, end: 100 * MIB + 3 };
    const read = await buffer((await blobs.read('d/b', { range, version }))!);
    expect(read.equals(Buffer.concat([piece.subarray(-3), piece.subarray(0, 3)]))).toBe(true);
  });

  test('many uploads at once never take more of the spool than there is, and all come in', async () => {
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

  describe('a presigned link', () => {
    test('takes a file of the very size, and only under its key', async () => {
      const { blobs } = await openS3();
      const { presign, arrived } = blobs.presigning!;
      const { url, headers, expiresInSeconds } = await presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect([headers, expiresInSeconds]).toEqual([{}, 60]);
      expect(await put(url, bytesOf(9))).toBe(403);
      expect(await put(url, bytesOf(11))).toBe(403);
      expect(await put(url.replace('/d/a?', '/d/b?'), bytesOf(10))).toBe(403);
      expect(await put(url.replace(/(Signature=)./, '$1_'), bytesOf(10))).toBe(403);
      expect(await arrived('d')).toEqual({ uploads: [], next: undefined });
      expect(await put(url, bytesOf(10), { 'content-type': 'image/jpeg' })).toBe(200);
      const { uploads } = await arrived('d');
      const [upload] = uploads;
      expect(uploads).toEqual([
        { key: 'd/a', sizeBytes: 10, version: upload?.version, lastModified: expect.any(Date) },
      ]);
      const fetched = await blobs.fetch('d/a', { limit, signal, version: upload!.version });
      expect(fetched).toMatchObject({ sizeBytes: 10, sha256: sha256Of(bytesOf(10)), version: upload!.version });
      await fetched!.discard();
    });

    test('that is used again with other bytes is found out by the version', async () => {
      const { blobs } = await openS3();
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      await put(url, bytesOf(10));
      const { version } = (await blobs.presigning!.arrived('d')).uploads[0]!;
      expect(await put(url, bytesOf(10, 2))).toBe(200);
      await expect(blobs.read('d/a', { version })).rejects.toBeInstanceOf(BlobChanged);
    });

    test('is refused once it has expired, and is never given for longer than stores allow', async () => {
      const { blobs } = await openS3();
      const { presign } = blobs.presigning!;
      const { url } = await presign('d/a', { sizeBytes: 10, expiresInSeconds: 1 });
      await expect.poll(() => put(url, bytesOf(10)), { timeout: 10_000, interval: 500 }).toBe(403);
      expect((await presign('d/a', { sizeBytes: 10, expiresInSeconds: 1e7 })).expiresInSeconds).toBe(604_800);
    });

    test('leads to the host by which clients reach the store', async () => {
      const endpoint = new URL(process.env.TEST_S3_ENDPOINT!);
      endpoint.hostname = 'localhost';
      const { blobs } = await openS3({ parameters: { public_endpoint: endpoint.origin } });
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(new URL(url).hostname).toBe('localhost');
      expect(await put(url, bytesOf(10))).toBe(200);
    });

    test('names its headers where the bucket wants encryption, and is refused without them', async ({ skip }) => {
      const kms_key = process.env.TEST_S3_KMS_KEY;
      if (kms_key === undefined) return skip('the store has no key to encrypt with (TEST_S3_KMS_KEY)');
      const { blobs, bucket } = await openS3({ parameters: { sse: 'aws:kms', kms_key } });
      const { url, headers } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      expect(await put(url, bytesOf(10))).toBe(403);
      expect(await put(url, bytesOf(10), headers)).toBe(200);
      await (await blobs.stage(Readable.from([bytesOf(10)]), { key: 'd/b', limit, signal })).commit();
      const large = Readable.from(inChunks(bytesOf(11 * MIB)), { objectMode: false });
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
      expect((await blobs.presigning!.arrived('d')).uploads.map(({ key }) => key)).toEqual(['d/a']);
      const { Body } = await bucket.client.send(new GetObjectCommand(bucket.target(`it's (a) prefix + ü*!/d/a`)));
      expect((await Body!.transformToByteArray()).length).toBe(10);
    });
  });

  test('lists what arrived page by page, and no other dataset', async () => {
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
    const first = await blobs.presigning!.arrived('d');
    const second = await blobs.presigning!.arrived('d', { after: first.next });
    expect(first.uploads).toHaveLength(1000);
    expect(second.next).toBeUndefined();
    expect([...first.uploads, ...second.uploads].map(({ key }) => key)).toEqual(names);
    await blobs.delete(names);
    expect(await bucket.keys()).toEqual(['d2/0000']);
  });
});

function* repeated(piece: Buffer, times: number): Generator<Buffer> {
  for (let i = 0; i < times; i++) yield piece;
}

/** What lies in the spool, in bytes; files come and go while it is looked at. */
async function spooledBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !entry.name.includes('.lock'));
  const sizes = files.map(
    async ({ parentPath, name }) => (await stat(join(parentPath, name)).catch(() => undefined))?.size,
  );
  return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + (size ?? 0), 0);
}
