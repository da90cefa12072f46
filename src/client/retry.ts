import { TrainyardError } from './trainyard-error.js';

export interface RetryOptions {
  /** Tries in all; 1 means that nothing is tried again. */
  readonly attempts: number;
  readonly signal?: AbortSignal | undefined;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 15_000;

/**
 * Does it again after what may pass by itself: a connection that broke, 429, and 5xx but for 501 and 507. Waits as long as
 * the service asked for, else twice as long each time, with jitter so that many clients don't come back at once.
 *
 * Each try is given a signal of its own: `fetch` lets go of one only when memory is tidied up, and thousands of requests
 * would hang on a signal that they share (https://github.com/nodejs/undici, `lib/web/fetch/request.js`).
 *
 * @throws the last error; the signal's reason
 */
export async function withRetries<T>(
  work: (signal: AbortSignal | undefined) => Promise<T>,
  { attempts, signal }: RetryOptions,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work(signal && AbortSignal.any([signal]));
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= attempts || !mayPass(error)) throw error;
      await sleep(delayBefore(attempt, error), signal);
    }
  }
}

function mayPass(error: unknown): boolean {
  if (error instanceof TrainyardError) {
    return error.status === 429 || (error.status >= 500 && error.status !== 501 && error.status !== 507);
  }
  // What fetch throws where there was no answer (https://fetch.spec.whatwg.org/#fetch-method).
  return error instanceof TypeError;
}

function delayBefore(attempt: number, error: unknown): number {
  const asked = error instanceof TrainyardError ? error.retryAfterSeconds : undefined;
  const most = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS);
  return asked === undefined ? most * (0.5 + Math.random() / 2) : Math.min(asked * 1000, 60_000);
}

/** @throws the signal's reason */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
