import { expect, test } from 'vitest';
import { fuzzHistories } from './fuzz-histories.js';

/** With `npm run fuzz`, other seeds and more sequences run. */
const SEEDS = [20_261_126, 12, 7];

test.each(SEEDS)('what clients write in random order is in the history, seed %i', async (seed) => {
  expect(await fuzzHistories({ seed, sequences: 2, isShrunk: false })).toBeUndefined();
});
