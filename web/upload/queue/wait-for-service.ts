import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';

const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 15_000;

/** 429: the rate limit. 502 to 504: a proxy while the service restarts. */
const TEMPORARY_STATUSES = new Set([429, 502, 503, 504]);

/** Whether the service was unreachable, or answered with a temporary error. */
export function isTemporaryFailure(error: unknown): boolean {
  // fetch throws TypeError if there is no response (https://fetch.spec.whatwg.org/#fetch-method).
  if (!(error instanceof TrainyardError)) return error instanceof TypeError;
  // A proxy that has no route to the service for a moment answers 404, without a code of the service.
  return TEMPORARY_STATUSES.has(error.status) || (error.status === 404 && error.code === undefined);
}

/**
 * Polls the service with exponential backoff until it answers. Polls at once when the browser goes online again.
 *
 * @throws TrainyardError for an answer that is not temporary; the signal's reason
 */
export async function waitForService(
  client: TrainyardClient,
  datasetId: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
    await pauseOrOnline(pause, signal);
    signal?.throwIfAborted();
    try {
      await client.downloadLinks(datasetId, { signal });
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTemporaryFailure(error)) throw error;
    }
  }
}

/** Resolves after `ms`, when the browser goes online, or when the signal aborts. */
export function pauseOrOnline(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      removeEventListener('online', finish);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    addEventListener('online', finish);
    signal?.addEventListener('abort', finish);
  });
}
