import { setTimeout as wait } from 'node:timers/promises';

/** Work that runs repeatedly until it is stopped. */
export interface WakeableLoop {
  /** Runs the work soon, and returns at once. */
  readonly wake: () => void;
  /** Stops the loop, and resolves once no run is in flight. */
  readonly stop: () => Promise<void>;
}

/**
 * Runs `work` at once, `pauseMs` after each end, and whenever it is woken; one run at a time. `work` may return a shorter
 * pause in milliseconds.
 */
export function runOnWake(
  work: () => Promise<unknown>,
  { pauseMs, onError }: { pauseMs: number; onError: (error: unknown) => void },
): WakeableLoop {
  let isStopping = false;
  let wake = new AbortController();
  const run = async () => {
    while (!isStopping) {
      // Made before the work, so that a call of `wake` meanwhile causes another run.
      wake = new AbortController();
      const next = await work().catch(onError);
      const nextMs = typeof next === 'number' ? Math.min(Math.max(next, 1), pauseMs) : pauseMs;
      await wait(nextMs, undefined, { signal: wake.signal }).catch(() => {});
    }
  };
  const running = run();
  return {
    wake: () => wake.abort(),
    stop: () => {
      isStopping = true;
      wake.abort();
      return running;
    },
  };
}
