import type { WireDatasetWithFiles } from '../api/schemas.js';
import { sleep } from './retry.js';

/** How long one request asks trainyard to wait for a change. */
const WAIT_SECONDS = 30;

/** The least time between two requests, for services that answer without waiting. */
const POLL_INTERVAL_MS = 1000;

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with every answer, the first one included. */
  readonly onStatus?: (dataset: WireDatasetWithFiles) => void;
}

/** See `TrainyardClient.waitUntilReady`. Each call of `status` makes one request. */
export async function waitUntilReady(
  status: (waitSeconds?: number) => Promise<WireDatasetWithFiles>,
  { signal, onStatus }: WaitOptions,
): Promise<WireDatasetWithFiles> {
  let dataset = await status();
  onStatus?.(dataset);
  while (dataset.status !== 'READY' && dataset.status !== 'FAILED') {
    // Not the time of day, which may be set back meanwhile.
    const requestedAt = performance.now();
    dataset = await status(WAIT_SECONDS);
    onStatus?.(dataset);
    if (dataset.status === 'UPLOADING' || dataset.status === 'DRAFT') {
      await sleep(Math.max(0, requestedAt + POLL_INTERVAL_MS - performance.now()), signal);
    }
  }
  return dataset;
}
