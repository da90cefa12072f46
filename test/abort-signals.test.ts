import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { anySignal, withAnySignal, withTimeout } from '../src/abort-signals.js';

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

const listenersOn = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

test('combined signals fire with the reason of the first, and one listener on each is enough for all', () => {
  const [stopping, leaving] = [new AbortController(), new AbortController()];
  const combined = Array.from({ length: 20 }, () => anySignal([stopping.signal, undefined, leaving.signal]));
  expect([listenersOn(stopping.signal), listenersOn(leaving.signal)]).toEqual([1, 1]);
  const [first, second, ...others] = combined.map(({ signal }) => signal);
  combined[1]?.release();
  combined[1]?.release();
  leaving.abort('left');
  stopping.abort('stopped');
  expect([first?.reason, second?.aborted]).toEqual(['left', false]);
  expect(new Set(others.map(({ reason }) => reason))).toEqual(new Set(['left']));
  const late = anySignal([new AbortController().signal, stopping.signal]);
  expect([late.signal.aborted, late.signal.reason]).toEqual([true, 'stopped']);
});

test('when the work has ended or failed, nothing of it is left on a signal that lives longer', async () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const pause = (either: AbortSignal) => new Promise((_, reject) => either.addEventListener('abort', reject));
  expect(await withAnySignal([signal, signal], async () => listenersOn(signal))).toBe(1);
  await expect(withAnySignal([signal], () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  const thrown = withAnySignal([signal], () => {
    throw new Error('broken at once');
  });
  await expect(thrown).rejects.toThrow('broken at once');
  expect(listenersOn(signal)).toBe(0);
  const ending = withAnySignal([signal], pause);
  stopping.abort();
  await expect(ending).rejects.toMatchObject({ type: 'abort' });
  expect(listenersOn(signal)).toBe(0);
});
