import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { blobStores, onEach } from './harness/backends.js';

const never = new AbortController().signal;
const limit = { bytes: 1_000_000, message: 'too much of it' };
const bytesOf = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + length) % 256));

async function* failingAfter(bytes: number): AsyncGenerator<Buffer> {
  yield bytesOf(bytes);
  throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
}

onEach(blobStores, (open) => {
  test('keeps bytes under their key, with their size and SHA-256', async () => {
    const { blobs, keys } = await open();
    const bytes = bytesOf(300_000);
    const staged = await blobs.stage(Readable.from([bytes.subarray(0, 10), bytes.subarray(10)]), {
      limit,
      signal: never,
    });
    expect(staged).toMatchObject({
      sizeBytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    expect((await readFile(staged.path)).equals(bytes)).toBe(true);
    expect(await blobs.read('aa11')).toBeUndefined();
    await staged.commit('aa11');
    expect(await keys()).toEqual(['aa11']);
    expect((await buffer((await blobs.read('aa11'))!)).equals(bytes)).toBe(true);
  });

  test('reads any range', async () => {
    const { blobs } = await open();
    const bytes = bytesOf(1000);
    await (await blobs.stage(Readable.from([bytes]), { limit, signal: never })).commit('ab');
    for (const [start, end] of [
      [0, 1],
      [10, 500],
      [999, 1000],
      [0, 1000],
    ] as const) {
      expect((await buffer((await blobs.read('ab', { start, end }))!)).equals(bytes.subarray(start, end))).toBe(true);
    }
  });

  test('keeps an empty blob', async () => {
    const { blobs } = await open();
    const staged = await blobs.stage(Readable.from([]), { limit, signal: never });
    await staged.commit('00');
    expect(staged.sizeBytes).toBe(0);
    expect(await buffer((await blobs.read('00'))!)).toHaveLength(0);
  });

  test('takes exactly the limit and stops at one byte more', async () => {
    const { blobs, keys } = await open();
    const exact = await blobs.stage(Readable.from([bytesOf(1_000_000)]), { limit, signal: never });
    await exact.discard();
    const one = Readable.from([bytesOf(1_000_000), Buffer.of(1)]);
    await expect(blobs.stage(one, { limit, signal: never })).rejects.toMatchObject({
      code: 'too_large',
      message: 'too much of it',
    });
    expect(await keys()).toEqual([]);
  });

  test('a body that breaks off leaves nothing behind', async () => {
    const { blobs, keys } = await open();
    const broken = blobs.stage(Readable.from(failingAfter(5000)), { limit, signal: never });
    await expect(broken).rejects.toMatchObject({ code: 'upload_cut_short' });
    expect(await keys()).toEqual([]);
  });

  test('a signal that fires leaves nothing behind, and its reason is what is thrown', async () => {
    const { blobs, keys } = await open();
    const abort = new AbortController();
    const body = new Readable({ read() {} });
    body.push(bytesOf(100));
    const staging = blobs.stage(body, { limit, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(staging).rejects.toThrow('enough');
    expect(await keys()).toEqual([]);
  });

  test('what is discarded is gone', async () => {
    const { blobs, keys } = await open();
    await (await blobs.stage(Readable.from([bytesOf(10)]), { limit, signal: never })).discard();
    expect(await keys()).toEqual([]);
  });

  test('one of two commits to one key wins, and the blob stays whole', async () => {
    const { blobs, keys } = await open();
    const staged = await Promise.all(
      [100, 200].map((size) => blobs.stage(Readable.from([bytesOf(size)]), { limit, signal: never })),
    );
    const outcomes = await Promise.allSettled(staged.map((one) => one.commit('cc')));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'upload_settled' } });
    const kept = await buffer((await blobs.read('cc'))!);
    expect(kept.equals(bytesOf(kept.length))).toBe(true);
    expect(await keys()).toEqual(['cc']);
  });

  test('deletes what is there and does not mind what is not; readers under way read on', async () => {
    const { blobs, keys } = await open();
    const bytes = bytesOf(500_000);
    await (await blobs.stage(Readable.from([bytes]), { limit, signal: never })).commit('dd');
    const reader = (await blobs.read('dd'))!;
    await blobs.delete(['dd', 'ee']);
    expect((await buffer(reader)).equals(bytes)).toBe(true);
    expect([await keys(), await blobs.read('dd')]).toEqual([[], undefined]);
  });
});
