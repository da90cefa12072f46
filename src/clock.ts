import type { Micros } from './dataset/dataset.js';

/** A clock in microseconds. Each reading is greater than the last, so that rows sort in the order of their creation. */
export function microsClock(read: () => Micros = () => Date.now() * 1000): () => Micros {
  let last = 0;
  return () => {
    last = Math.max(last + 1, read());
    return last;
  };
}
