import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { InspectionPool } from '../../../src/service/inspection/inspection-pool.js';
import * as media from '../../fixtures/media.js';

const clips = fileURLToPath(new URL('../../fixtures/clips', import.meta.url));
const options = { accountId: 'a', signal: new AbortController().signal };
const pool = new InspectionPool();
afterAll(() => pool.close());

/** Like a store, returns bytes asynchronously. */
const remote = (bytes: Buffer, filename: string) => ({
  filename,
  sizeBytes: bytes.length,
  readAt: async (start: number, end: number) => Buffer.from(bytes.subarray(start, end)),
});

describe('a remote file', () => {
  test.each(readdirSync(clips))('%s is inspected like a local file', async (filename) => {
    const path = join(clips, filename);
    const bytes = readFileSync(path);
    const here = await pool.inspect({ path, filename, sizeBytes: bytes.length }, options);
    expect(await pool.inspect(remote(bytes, filename), options)).toEqual(here);
  });

  test('is read at many offsets, at any size', async () => {
    const clip = readFileSync(join(clips, 'faststart.mp4'));
    // A box that players skip, larger than all the blocks of a remote file that are cached.
    const free = Buffer.alloc(40 << 20);
    free.writeUInt32BE(free.length);
    free.write('free', 4);
    const inspection = await pool.inspect(remote(Buffer.concat([clip, free]), 'long.mp4'), options);
    expect(inspection).toMatchObject({ ok: true, facts: { kind: 'video', format: 'mp4' } });
    const cut = await pool.inspect(remote(Buffer.concat([clip, free.subarray(0, -1)]), 'long.mp4'), options);
    expect(cut).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
  });

  test('of a kind that only a decoder proves has a warning', async () => {
    for (const make of [media.webp, media.png]) {
      const bytes = await make();
      const inspection = await pool.inspect(remote(bytes, 'a.webp'), options);
      expect(inspection).toMatchObject({ ok: true });
      expect(inspection.ok && inspection.warnings.map(({ code }) => code)).toContain('NOT_FULLY_CHECKED');
      const cut = bytes.subarray(0, bytes.length / 2);
      expect(await pool.inspect(remote(cut, 'a.webp'), options)).toMatchObject({ ok: false });
    }
  });

  test('is proved if it is a JPEG, whose codes are walked wherever it is stored', async () => {
    for (const progressive of [false, true]) {
      const bytes = await media.jpeg({ width: 640, height: 520, progressive });
      expect(await pool.inspect(remote(bytes, 'a.jpg'), options)).toMatchObject({ ok: true, warnings: [] });
      const cut = Buffer.concat([bytes.subarray(0, bytes.length - 200), bytes.subarray(-2)]);
      expect(await pool.inspect(remote(cut, 'a.jpg'), options)).toMatchObject({ ok: false });
    }
  });

  test('that can’t be read is not called damaged; the error is passed on', async () => {
    const gone = new Error('the store does not answer');
    const file = { filename: 'a.mp4', sizeBytes: 1000, readAt: () => Promise.reject(gone) };
    await expect(pool.inspect(file, options)).rejects.toBe(gone);
  });

  test('is aborted with the signal’s reason', async () => {
    const abort = new AbortController();
    const readAt = async () => {
      abort.abort(new Error('enough'));
      return new Promise<Buffer>(() => {});
    };
    await expect(
      pool.inspect({ filename: 'a.mp4', sizeBytes: 1000, readAt }, { ...options, signal: abort.signal }),
    ).rejects.toThrow('enough');
  });
});
