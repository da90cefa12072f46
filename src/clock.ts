import type { Micros } from './dataset/dataset.js';

/** A clock in microseconds. No two readings are the same, so that things made one after the other sort so. */
export function microsClock(read: () => Micros = () => Date.now() * 1000): () => Micros {
  let last = 0;
  return () => {
    last = Math.max(last + 1, read());
    return last;
  };
}
