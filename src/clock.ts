import type { Micros } from './dataset/dataset.js';

/** The speed of a clock that is ahead of the machine's. */
const SLOWED = 0.95;

/** In microseconds; does not jump when the machine's clock is set. */
export function monotonicTime(): Micros {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/**
 * A clock in microseconds whose readings always grow, so that rows sort by creation. After `read` jumps back, it runs at 95 % of its
 * speed, so that leases and grace periods still end.
 */
export function microsClock(
  read: () => Micros = () => Date.now() * 1000,
  monotonic: () => Micros = monotonicTime,
): () => Micros {
  // The first reading follows the machine's clock.
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
