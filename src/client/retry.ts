import { withAnySignal } from '../abort-signals.js';
import { TrainyardError } from './trainyard-error.js';

export interface RetryOptions {
  /** The number of attempts, the first one included. */
  readonly attempts: number;
  /** False if a second attempt could repeat what the first has done: then only 429 is retried, before which nothing was done. */
  readonly isRepeatable?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 15_000;
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Runs `work` and retries it after a temporary failure: a broken connection, 429, and 5xx except 501 and 507; once after an answer
 * that takes too long. Waits as long as `Retry-After` says, up to 60 s; otherwise uses exponential backoff with jitter.
 *
 * Each attempt has a signal of its own, which does not fire after the attempt. `fetch` releases its listener on a signal only at
 * garbage collection, so a signal shared by thousands of requests would collect thousands of listeners
 * (https://github.com/nodejs/undici, `lib/web/fetch/request.js`).
 *
 * @param work also gets whether an earlier attempt may have been carried out: its answer was lost, or a 5xx
 * @throws the last error; the signal's reason
 */
export async function withRetries<T>(
  work: (signal: AbortSignal | undefined, isRepeated: boolean) => Promise<T>,
  { attempts, isRepeatable = true, signal }: RetryOptions,
): Promise<T> {
  let isRepeated = false;
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      if (signal === undefined) return await work(undefined, isRepeated);
      return await withAnySignal([signal], (own) => work(own, isRepeated));
    } catch (error) {
      signal?.throwIfAborted();
      const maxAttempts = isTimeout(error) ? Math.min(attempts, 2) : attempts;
      if (attempt >= maxAttempts || !isTemporary(error, { isRepeatable })) throw error;
      await sleep(delayBefore(attempt, error), signal);
      isRepeated ||= !isLimited(error);
    }
  }
}

function isTemporary(error: unknown, { isRepeatable }: { isRepeatable: boolean }): boolean {
  if (isLimited(error)) return true;
  if (!isRepeatable) return false;
  if (error instanceof TrainyardError) return error.status >= 500 && error.status !== 501 && error.status !== 507;
  // fetch throws a TypeError if there was no answer (https://fetch.spec.whatwg.org/#fetch-method).
  return error instanceof TypeError || isTimeout(error);
}

/** True if nothing was done, since there were too many requests. */
function isLimited(error: unknown): boolean {
  return error instanceof TrainyardError && error.status === 429;
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

/** The pause after a failed attempt, in milliseconds. */
export function delayBefore(attempt: number, error: unknown): number {
  const retryAfter = error instanceof TrainyardError ? error.retryAfterSeconds : undefined;
  const longest = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS);
  return retryAfter === undefined
    ? longest * (0.5 + Math.random() / 2)
    : Math.min(retryAfter * 1000, MAX_RETRY_AFTER_MS);
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
