import type { Micros } from './dataset/dataset.js';

/** The system's clock in microseconds. No two readings are the same, so that things made one after the other sort so. */
export function microsClock(): () => Micros {
  let last = 0;
  return () => {
    last = Math.max(last + 1, Date.now() * 1000);
    return last;
  };
}
