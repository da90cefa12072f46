import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { withTimeout } from '../src/with-timeout.js';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

test('a timeout that is combined with other signals fires, also after a garbage collection', async () => {
  const other = new AbortController();
  const aborted = withTimeout(200, (timeout) => {
    const either = AbortSignal.any([other.signal, timeout]);
    return new Promise((resolve) => either.addEventListener('abort', () => resolve(either.reason.name)));
  });
  for (let i = 0; i < 10; i++) {
    await turn();
    collectGarbage();
  }
  expect(await aborted).toBe('TimeoutError');
});

test('the result or the error of the work is passed on, and its signal does not fire later', async () => {
  let signal: AbortSignal | undefined;
  const work = (outcome: Promise<string>) => (timeout: AbortSignal) => {
    signal = timeout;
    return outcome;
  };
  expect(await withTimeout(1, work(Promise.resolve('done')))).toBe('done');
  await expect(withTimeout(1, work(Promise.reject(new Error('broken'))))).rejects.toThrow('broken');
  for (let i = 0; i < 50; i++) await turn();
  expect(signal?.aborted).toBe(false);
});
