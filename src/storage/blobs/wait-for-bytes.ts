import { withAnySignal, withTimeout } from '../../abort-signals.js';
import { ServiceError } from '../../dataset/errors.js';
import type { FairQueue, Release } from '../fair-queue.js';
import type { StageOptions } from './blobs.js';

/** A request that waits longer is answered with 503. Clients wait longer than this. */
const MAX_WAIT_MS = 90_000;

export type ByteOptions = Pick<StageOptions, 'accountId' | 'signal'>;

/**
 * Waits for bytes of a queue whose units are bytes.
 *
 * @param options.of what the bytes are, for the message: `memory`
 * @throws the signal's reason; ServiceError `unavailable` after 90 seconds
 */
export async function waitForBytes(
  queue: FairQueue,
  bytes: number,
  { of, accountId = '', signal }: ByteOptions & { of: string },
): Promise<Release> {
  let isLate = false;
  const wait = (timeout: AbortSignal) =>
    withAnySignal([signal, timeout], (either) => queue.acquire(accountId, { units: bytes, signal: either })).catch(
      (error) => {
        isLate = timeout.aborted;
        throw error;
      },
    );
  return withTimeout(MAX_WAIT_MS, wait).catch((error) => {
    signal.throwIfAborted();
    if (!isLate) throw error;
    throw new ServiceError('unavailable', `The server has no ${of} left for this upload right now. Try again soon.`);
  });
}
