import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { LargeWork } from '../../../src/service/limits/large-work.js';

test('large work runs one at a time, of one account after the other', async () => {
  const { run } = new LargeWork();
  const ended: string[] = [];
  let running = 0;
  const work = (account: string) =>
    run(account, async ({ begin }) => {
      await begin();
      expect(++running).toBe(1);
      for (let turns = 0; turns < 3; turns++) await turn();
      running--;
      ended.push(account);
    });
  await Promise.all(['a', 'a', 'a', 'a', 'b', 'c', 'b'].map(work));
  expect(ended.join('')).toBe('aabcaba');
});

test('work that fails makes room for the next', async () => {
  const { run } = new LargeWork();
  const failing = run('a', async ({ begin }) => {
    await begin();
    await turn();
    throw new Error('no such table');
  });
  const next = run('a', async ({ begin }) => begin());
  await expect(failing).rejects.toThrow('no such table');
  await next;
});

test('other work goes on between the pieces, and small work waits for nothing', async () => {
  let loops = 0;
  let counting = setImmediate(function count() {
    loops++;
    counting = setImmediate(count);
  });
  onTestFinished(() => clearImmediate(counting));
  const { run } = new LargeWork();
  const busyFor = (milliseconds: number) => {
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
  };
  const large = run('a', async ({ begin, pause }) => {
    await begin();
    for (let piece = 0; piece < 20; piece++) {
      busyFor(6);
      await pause();
    }
    return loops;
  });
  const small = run('b', async ({ pause }) => {
    const before = loops;
    for (let piece = 0; piece < 20; piece++) await pause();
    return loops - before;
  });
  expect(await small).toBe(0);
  expect(await large).toBeGreaterThanOrEqual(20);
});

test('small tasks run a few at a time, of one account after the other, and a large one takes none of their places', async () => {
  const { run } = new LargeWork({ smallAtOnce: 2 });
  const ended: string[] = [];
  let running = 0;
  const small = (account: string) =>
    run(account, async () => {
      expect(++running).toBeLessThanOrEqual(2);
      for (let turns = 0; turns < 3; turns++) await turn();
      running--;
      ended.push(account);
    });
  let endLarge = () => {};
  const large = run('a', async ({ begin }) => {
    await begin();
    await new Promise<void>((resolve) => {
      endLarge = resolve;
    });
    ended.push('large');
  });
  await Promise.all(['a', 'a', 'a', 'a', 'b', 'c'].map(small));
  endLarge();
  await large;
  expect(ended).toEqual(['a', 'b', 'a', 'c', 'a', 'a', 'large']);
});
