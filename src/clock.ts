import type { Micros } from './dataset/dataset.js';

/** The speed of a clock that is ahead of the machine's. */
const SLOWED = 0.95;

/** The monotonic time of the process in microseconds; it does not jump when the clock of the machine is set. */
export function monotonicTime(): Micros {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/**
 * A clock in microseconds. Each reading is greater than the last, so that rows sort in the order of their creation. If
 * `read` jumps ahead, as after the machine slept, the clock follows at once. If it jumps back, the clock runs at 95 % of its
 * speed until `read` has caught up, so that leases and grace periods still end.
 *
 * @param monotonic measures durations
 */
export function microsClock(
  read: () => Micros = () => Date.now() * 1000,
  monotonic: () => Micros = monotonicTime,
): () => Micros {
  // The first reading begins with the clock of the machine.
  let measuredAt = Number.POSITIVE_INFINITY;
  let exact = 0;
  let last = 0;
  return () => {
    const at = monotonic();
    exact = Math.max(exact + Math.max(0, at - measuredAt) * SLOWED, read());
    measuredAt = at;
    last = Math.max(last + 1, Math.floor(exact));
    return last;
  };
}
