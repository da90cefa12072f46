import type { Readable } from 'node:stream';
import { withAnySignal } from '../../../abort-signals.js';

/** Timeouts and attempts of requests to a store. */
export interface Timeouts {
  /** For opening a connection, in milliseconds. */
  readonly connectMs: number;
  /** For the next byte in either direction, in milliseconds. */
  readonly idleMs: number;
  /** Including the first one. */
  readonly attempts: number;
  /** For a call with all its attempts and the pauses between them, in milliseconds. A body adds time for its bytes. */
  readonly totalMs: number;
}

export const TIMEOUTS: Timeouts = { connectMs: 5000, idleMs: 15_000, attempts: 3, totalMs: 30_000 };

/** The lowest rate at which a store may take a body. Many uploads may share a slow line. */
const MIN_BYTES_PER_SECOND = 32 * 1024;

/** The time for a call that sends a body of this size. */
export function totalMsOf({ totalMs }: Timeouts, sizeBytes: number): number {
  return totalMs + (sizeBytes / MIN_BYTES_PER_SECOND) * 1000;
}

/**
 * Fires the signal after this time, or once `closing` fires.
 *
 * @throws Error that `isTransient` accepts; the reason of `closing`
 */
export async function withDeadline<T>(
  ms: number,
  work: (deadline: AbortSignal) => Promise<T>,
  closing?: AbortSignal,
): Promise<T> {
  closing?.throwIfAborted();
  const timeout = new AbortController();
  const timer = setTimeout(() => {
    timeout.abort(Object.assign(new Error(`no answer within ${Math.round(ms)} ms`), { name: 'TimeoutError' }));
  }, ms);
  try {
    return await withAnySignal([timeout.signal, closing], (deadline) => {
      // Listens before the work does, whose requests reject with an error of their own once the signal fires.
      const late = rejectionOf(deadline);
      // The race ends a pause between two attempts too.
      return Promise.race([late, work(deadline)]);
    });
  } finally {
    clearTimeout(timer);
  }
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/**
 * Fails when the sender is idle for too long. The time that the reader takes for a chunk does not count.
 *
 * @throws Error that `isTransient` accepts
 */
export async function* withIdleTimeout(
  body: Readable,
  { idleMs, onWait }: { idleMs: number; onWait?: (ms: number) => void },
): AsyncGenerator<Buffer> {
  const chunks = body.iterator({ destroyOnReturn: true });
  try {
    for (;;) {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        body.destroy();
      }, idleMs);
      const since = performance.now();
      const next = await chunks.next().finally(() => clearTimeout(timer));
      onWait?.(performance.now() - since);
      if (isLate) throw timedOut(`no byte arrived for ${idleMs} ms`);
      if (next.done) return;
      yield next.value as Buffer;
    }
  } finally {
    body.destroy();
  }
}

/** An error that `isTransient` accepts. */
export function timedOut(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}
