import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { blobStores, onEach } from '../../harness/backends.js';
import { sha256 } from '../../harness/sha256.js';

const options = {
  key: 'd5/aa11',
  limit: { bytes: 1_000_000, message: 'too much of it' },
  signal: new AbortController().signal,
};
const bytesOf = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + length) % 256));

async function* failingAfter(bytes: number): AsyncGenerator<Buffer> {
  yield bytesOf(bytes);
  throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
}

onEach(blobStores, (open) => {
  test('stores bytes under their key, with their size and SHA-256', async () => {
    const { blobs, keys } = await open();
    const bytes = bytesOf(300_000);
    const staged = await blobs.stage(Readable.from([bytes.subarray(0, 10), bytes.subarray(10)]), options);
    expect(staged).toMatchObject({ sizeBytes: bytes.length, sha256: sha256(bytes) });
    expect((await readFile(staged.path)).equals(bytes)).toBe(true);
    expect(await blobs.read('d5/aa11')).toBeUndefined();
    const { version } = await staged.commit();
    expect(await keys()).toEqual(['aa11']);
    expect((await buffer((await blobs.read('d5/aa11', { version }))!)).equals(bytes)).toBe(true);
  });

  test('reads any range, and an empty blob', async () => {
    const { blobs } = await open();
    await blobs.ping();
    const empty = await blobs.stage(Readable.from([]), { ...options, key: 'd5/ee' });
    await empty.commit();
    expect([empty.sizeBytes, (await buffer((await blobs.read('d5/ee'))!)).length]).toEqual([0, 0]);
    const bytes = bytesOf(1000);
    await (await blobs.stage(Readable.from([bytes]), options)).commit();
    for (const [start, end] of [
      [0, 1],
      [10, 500],
      [999, 1000],
      [0, 1000],
    ] as const) {
      const part = await buffer((await blobs.read('d5/aa11', { range: { start, end } }))!);
      expect(part.equals(bytes.subarray(start, end))).toBe(true);
    }
  });

  test('accepts a body of exactly the limit, which can be discarded, and rejects one byte more', async () => {
    const { blobs, keys } = await open();
    for (const atMostBytes of [undefined, 1_000_000]) {
      const exact = await blobs.stage(Readable.from([bytesOf(1_000_000)]), { ...options, atMostBytes });
      await exact.discard();
    }
    expect(await keys()).toEqual([]);
    const one = Readable.from([bytesOf(1_000_000), Buffer.of(1)]);
    await expect(blobs.stage(one, options)).rejects.toMatchObject({ code: 'too_large', message: 'too much of it' });
    expect(await keys()).toEqual([]);
  });

  test('a body that fails and an upload that is aborted leave no blob', async () => {
    const { blobs, keys } = await open();
    const broken = blobs.stage(Readable.from(failingAfter(5000)), options);
    await expect(broken).rejects.toMatchObject({ code: 'upload_cut_short' });
    const abort = new AbortController();
    const body = new Readable({ read() {} });
    body.push(bytesOf(100));
    const staging = blobs.stage(body, { ...options, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(staging).rejects.toThrow('enough');
    expect(await keys()).toEqual([]);
  });

  test('one of two commits to one key wins, and the blob stays whole', async () => {
    const { blobs, keys } = await open();
    const staged = await Promise.all(
      [100, 200].map((size) => blobs.stage(Readable.from([bytesOf(size)]), { ...options, key: 'd5/cc' })),
    );
    const outcomes = await Promise.allSettled(staged.map((one) => one.commit()));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'upload_finalized' },
    });
    const kept = await buffer((await blobs.read('d5/cc'))!);
    expect(kept.equals(bytesOf(kept.length))).toBe(true);
    expect(await keys()).toEqual(['cc']);
  });

  test('deletes blobs, ignores missing ones, and lets open readers finish', async () => {
    const { blobs, keys } = await open();
    const bytes = bytesOf(500_000);
    await (await blobs.stage(Readable.from([bytes]), { ...options, key: 'd5/dd' })).commit();
    const reader = (await blobs.read('d5/dd'))!;
    await blobs.delete(['d5/dd', 'd5/ee']);
    expect((await buffer(reader)).equals(bytes)).toBe(true);
    expect([await keys(), await blobs.read('d5/dd')]).toEqual([[], undefined]);
  });

  test('fetches a blob for random access', async () => {
    const { blobs, keys } = await open();
    const bytes = bytesOf(300_000);
    const staged = await blobs.stage(Readable.from([bytes]), options);
    await staged.commit();
    const fetched = (await blobs.fetch(options.key, options))!;
    expect(fetched).toMatchObject({ sizeBytes: bytes.length, sha256: staged.sha256 });
    expect((await readFile(fetched.path)).equals(bytes)).toBe(true);
    await fetched.discard();
    expect(await keys()).toEqual(['aa11']);
    const few = { ...options, limit: { bytes: bytes.length - 1, message: 'it grew' } };
    await expect(blobs.fetch(options.key, few)).rejects.toMatchObject({ code: 'too_large', message: 'it grew' });
    expect(await blobs.fetch('d5/none', options)).toBeUndefined();
    expect(await keys()).toEqual(['aa11']);
  });

  test('finds which of many blobs exist, with their size and version', async () => {
    const { blobs } = await open();
    const keys = ['d5/aa1', 'd5/aa2', 'd5/bb', 'd5/ff'];
    const versions = new Map<string, string | null>();
    for (const [i, key] of [...keys, 'd5/bb.thumbnail', 'd6/ab1'].entries()) {
      const staged = await blobs.stage(Readable.from([bytesOf(i)]), { ...options, key });
      versions.set(key, (await staged.commit()).version);
    }
    const found = await blobs.find(['d5/ff', 'd5/aa1', 'd5/cc', 'd5/bb', 'd5/00']);
    expect(Object.fromEntries(found)).toEqual({
      'd5/aa1': { sizeBytes: 0, version: versions.get('d5/aa1') },
      'd5/bb': { sizeBytes: 2, version: versions.get('d5/bb') },
      'd5/ff': { sizeBytes: 3, version: versions.get('d5/ff') },
    });
    expect([await blobs.find([]), await blobs.find(['d7/aa'])]).toEqual([new Map(), new Map()]);
  });
});
