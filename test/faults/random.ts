import { onTestFailed } from 'vitest';

/** The seed of a random course, which is printed if the test fails. */
export function printedSeed(): number {
  const seed = Number(process.env.TRAINYARD_TEST_SEED ?? 20_261_130);
  onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
  return seed;
}

/** A seeded generator of pseudo-random numbers from 0 up to 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
