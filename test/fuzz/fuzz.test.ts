import { expect, test } from 'vitest';
import { IS_ALL } from '../harness/available.js';
import { fuzzRequests } from './fuzz-requests.js';
import { fuzzSequences } from './fuzz-sequences.js';

/** With `npm run fuzz`, other seeds and more cases run. */
const SEED = 20_261_126;
const REQUESTS = IS_ALL ? 2000 : 500;

test('random requests are answered as the OpenAPI document says', async () => {
  const { failure, sent, answers } = await fuzzRequests({ seed: SEED, count: REQUESTS });
  expect(failure, `seed ${SEED}`).toBeUndefined();
  expect(sent).toBeGreaterThan(0.95 * REQUESTS);
  // Of all operations, and not only errors.
  const succeeded = [...answers.keys()].filter((answer) => / 20[06]$/.test(answer));
  expect(new Set(succeeded.map((answer) => answer.replace(/ \d+$/, ''))).size).toBeGreaterThan(20);
});

test('datasets that change in random order agree with a model', async () => {
  expect(await fuzzSequences({ seed: SEED, count: 25 }), `seed ${SEED}`).toBeUndefined();
});
