import { untilAborted, withAnySignal } from '../abort-signals.js';
import { TrainyardError } from './answers.js';

export interface RetryOptions {
  /** The first one included. */
  readonly attempts: number;
  /** If false, only 429 is retried, which comes before anything was done. */
  readonly isRepeatable?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 15_000;
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Retries after a broken connection, 429, and 5xx except 501 and 507; once after a timeout. Waits as `Retry-After` says, or with
 * exponential backoff and jitter.
 *
 * Each attempt has its own signal: `fetch` keeps its listener until garbage collection, so thousands would gather on a shared one
 * (https://github.com/nodejs/undici, `lib/web/fetch/request.js`).
 *
 * @param work learns whether an earlier attempt may have been carried out
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
  // Without an answer, `fetch` throws a TypeError (https://fetch.spec.whatwg.org/#fetch-method).
  return error instanceof TypeError || isTimeout(error);
}

/** Nothing was done, since there were too many requests. */
function isLimited(error: unknown): boolean {
  return error instanceof TrainyardError && error.status === 429;
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

/** In milliseconds. */
export function delayBefore(attempt: number, error: unknown): number {
  const retryAfter = error instanceof TrainyardError ? error.retryAfterSeconds : undefined;
  const longest = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS);
  return retryAfter === undefined
    ? longest * (0.5 + Math.random() / 2)
    : Math.min(retryAfter * 1000, MAX_RETRY_AFTER_MS);
}

/** @throws the signal's reason */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const slept = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await untilAborted(slept, signal).finally(() => clearTimeout(timer));
}
