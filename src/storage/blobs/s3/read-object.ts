import { setTimeout as wait } from 'node:timers/promises';
import { ServiceError } from '../../../dataset/errors.js';
import { BlobDamaged } from '../blobs.js';
import { timedOut, totalMsOf, withIdleTimeout } from './timeouts.js';
import { isTransient, storeError } from './errors.js';
import type { OpenObject, S3Bucket } from './bucket.js';

/**
 * Reads the body of a GET response. If the response ends early or stalls, it requests the remaining bytes of the same
 * version. The whole wait for the store is limited as for a call with a body of the received size.
 *
 * @throws BlobChanged; BlobDamaged if it ends before the range does, or would go on after it; ServiceError `unavailable`; the
 * signal's reason
 */
export async function* resumingBody(
  bucket: S3Bucket,
  key: string,
  options: {
    opened: OpenObject;
    range?: { start: number; end: number } | undefined;
    signal?: AbortSignal | undefined;
  },
): AsyncGenerator<Buffer> {
  const { opened, range, signal } = options;
  const { version } = opened;
  const { attempts, idleMs } = bucket.timeouts;
  let { body } = opened;
  const start = range?.start ?? 0;
  let position = start;
  let waitedMs = 0;
  const onWait = (ms: number) => {
    waitedMs += ms;
  };
  const isTooSlow = () => waitedMs > totalMsOf(bucket.timeouts, position - start);
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const chunk of withIdleTimeout(body, { idleMs, onWait })) {
        position += chunk.length;
        // Its receiver has announced the length, and would take the rest for the beginning of another answer.
        if (range !== undefined && position > range.end) throw new BlobDamaged(key, 'returned too many bytes');
        if (isTooSlow()) throw timedOut(`only ${position - start} bytes arrived in ${Math.round(waitedMs)} ms`);
        attempt = 1;
        yield chunk;
      }
      const missingBytes = range === undefined ? 0 : range.end - position;
      if (missingBytes > 0) throw new BlobDamaged(key, `returned ${missingBytes} bytes too few`);
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTransient(error) || attempt >= attempts || isTooSlow()) throw storeError(error);
      await wait(100 * 4 ** attempt, undefined, signal && { signal });
      const again = await bucket.get(key, { range: { start: position, end: range?.end }, version, signal });
      if (again === undefined) throw new ServiceError('unavailable', 'The file was deleted while it was being read.');
      body = again.body;
    }
  }
}
