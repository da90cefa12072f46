import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;

/** What proxies say of a service that is starting anew, and what a service says that is asked too much. */
const TEMPORARY_STATUSES = new Set([429, 502, 503, 504]);

/** Whether nobody answered, or somebody who says that it passes. */
export function isTemporaryFailure(error: unknown): boolean {
  // What fetch throws where there was no answer (https://fetch.spec.whatwg.org/#fetch-method).
  return error instanceof TypeError || (error instanceof TrainyardError && TEMPORARY_STATUSES.has(error.status));
}

/**
 * Asks for a dataset, ever more seldom and when the browser is online again, until there is an answer.
 *
 * @throws what the service says against it; the signal's reason
 */
export async function waitForService(
  client: TrainyardClient,
  datasetId: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    await pauseOrOnline(pause, signal);
    signal?.throwIfAborted();
    try {
      await client.links(datasetId, { signal });
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTemporaryFailure(error)) throw error;
    }
  }
}

/** Ends with the signal too, and does not throw then. */
export function pauseOrOnline(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    signal?.addEventListener('abort', done);
  });
}
