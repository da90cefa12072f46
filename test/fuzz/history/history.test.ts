import { expect, test } from 'vitest';
import { fuzzHistories } from './fuzz-histories.js';

/** With `npm run fuzz`, other seeds and more sequences run. */
const check = async (seed: number) =>
  expect(await fuzzHistories({ seed, count: 2, endOnFailure: true })).toBeUndefined();

test('what clients write in random order is in the history, seed 20261126', () => check(20_261_126));

test.each([12, 7])('what clients write in random order is in the history, seed %i', { tags: ['long'] }, check);
