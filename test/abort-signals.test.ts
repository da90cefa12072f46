import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { withAnySignal, withTimeout } from '../src/abort-signals.js';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

test('a timeout that is combined with other signals fires, also after a garbage collection', async () => {
  const other = new AbortController();
  const aborted = withTimeout(200, (timeout) => {
    return withAnySignal(
      [other.signal, timeout],
      (either) => new Promise((resolve) => either.addEventListener('abort', () => resolve(either.reason.name))),
    );
  });
  for (let i = 0; i < 10; i++) {
    await turn();
    collectGarbage();
  }
  expect(await aborted).toBe('TimeoutError');
});

test('combined signals fire with the reason of the first, and leave no listeners for each piece of work', async () => {
  const [stopping, leaving] = [new AbortController(), new AbortController()];
  const pause = (either: AbortSignal) =>
    new Promise((_, reject) => either.addEventListener('abort', () => reject(either.reason)));
  const pausing = Array.from({ length: 20 }, () => withAnySignal([stopping.signal, undefined, leaving.signal], pause));
  expect(getEventListeners(stopping.signal, 'abort')).toHaveLength(1);
  leaving.abort('left');
  stopping.abort('stopped');
  for (const each of pausing) await expect(each).rejects.toBe('left');
  const late = withAnySignal([new AbortController().signal, stopping.signal], async (either) => either.reason);
  expect(await late).toBe('stopped');
});
