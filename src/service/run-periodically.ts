import { setTimeout as wait } from 'node:timers/promises';

/**
 * Does something again and again, `pauseMs` after each end, whatever becomes of it.
 *
 * @returns how to end that; once it resolves nothing is under way any more
 */
export function runPeriodically(
  work: () => Promise<void>,
  { pauseMs, onError }: { pauseMs: number; onError: (error: unknown) => void },
): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    for (;;) {
      await wait(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await work().catch(onError);
    }
  };
  const running = run();
  return () => {
    stopping.abort();
    return running;
  };
}
