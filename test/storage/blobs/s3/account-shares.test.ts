import { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import type { S3Blobs } from '../../../../src/storage/blobs/s3/s3-blobs.js';
import { onS3, openS3 } from '../../../harness/backends.js';
import { eventually } from '../../../harness/server.js';

const MIB = 1024 * 1024;
const SPOOL_BYTES = 4 * MIB;

const signal = new AbortController().signal;

/** Uploads whose client sends one byte and then nothing, until the test ends. */
class SlowUploads {
  readonly #abort = new AbortController();
  readonly #staging: Promise<unknown>[] = [];
  readonly #bodies: Readable[] = [];

  constructor() {
    onTestFinished(async () => {
      this.#abort.abort();
      await Promise.allSettled(this.#staging);
    });
  }

  begin(blobs: S3Blobs, { accountId, bytes }: { accountId: string; bytes: number }): void {
    const body = new Readable({
      read() {
        if (this.readableDidRead) return;
        this.push(Buffer.from('x'));
      },
    });
    const key = `d/slow-${this.#bodies.length}`;
    this.#bodies.push(body);
    const options = { key, limit: { bytes, message: '' }, accountId, signal: this.#abort.signal };
    const staging = blobs.stage(body, options);
    staging.catch(() => {});
    this.#staging.push(staging);
  }

  /** How many have got space, and are being read. */
  get inFlight(): number {
    return this.#bodies.filter(({ readableDidRead }) => readableDidRead).length;
  }
}

async function store(blobs: S3Blobs, key: string, { accountId, bytes }: { accountId: string; bytes: number }) {
  const limit = { bytes, message: '' };
  const body = Readable.from([Buffer.alloc(bytes, 'x')], { objectMode: false });
  await (await blobs.stage(body, { key, limit, accountId, signal })).commit();
  const fetched = await blobs.fetch(key, { limit, accountId, signal });
  await fetched!.discard();
  return fetched!.sizeBytes;
}

onS3(() => {
  test('slow uploads of an account use half of the spool, and those of others don’t wait', async () => {
    const { blobs } = await openS3({ spoolBytes: SPOOL_BYTES });
    const slow = new SlowUploads();
    for (let i = 0; i < 4; i++) slow.begin(blobs, { accountId: 'ada', bytes: MIB });
    await eventually(() => slow.inFlight >= 2 || undefined);
    const stored = await store(blobs, 'd/b', { accountId: 'bob', bytes: 2 * MIB });
    expect(stored).toBe(2 * MIB);
    expect(slow.inFlight).toBe(2);
  });
});
