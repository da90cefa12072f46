import { setTimeout as wait } from 'node:timers/promises';

interface PeriodicOptions {
  readonly pauseMs: number;
  /** The first run does not wait for `pauseMs`. */
  readonly isFirstAtOnce?: boolean;
  readonly onError: (error: unknown) => void;
}

/**
 * Runs `work` repeatedly, `pauseMs` after each end, whether it succeeds or fails. The signal fires when it is to end.
 *
 * @returns a function that stops it and resolves once no run is in flight
 */
export function runPeriodically(
  work: (signal: AbortSignal) => Promise<void>,
  { pauseMs, isFirstAtOnce = false, onError }: PeriodicOptions,
): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    for (let isFirst = true; ; isFirst = false) {
      if (!(isFirst && isFirstAtOnce)) await wait(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await work(signal).catch(onError);
    }
  };
  const running = run();
  return () => {
    stopping.abort();
    return running;
  };
}
