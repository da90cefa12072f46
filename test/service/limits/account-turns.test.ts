import { expect, onTestFinished, test } from 'vitest';
import { AccountTurns } from '../../../src/service/limits/account-turns.js';

test('work begins in one turn of the event loop each, of one account after the other', async () => {
  let loops = 0;
  let counting = setImmediate(function count() {
    loops++;
    counting = setImmediate(count);
  });
  onTestFinished(() => clearImmediate(counting));
  const turns = new AccountTurns();
  const begun: { account: string; loop: number }[] = [];
  const begin = async (account: string) => {
    await turns.take(account);
    begun.push({ account, loop: loops });
  };
  await Promise.all(['a', 'a', 'a', 'a', 'b', 'c', 'b'].map(begin));
  expect(begun.map(({ account }) => account).join('')).toBe('aabcaba');
  expect(new Set(begun.map(({ loop }) => loop)).size).toBe(begun.length);
});

test('work that begins while none else does waits for nothing', async () => {
  const turns = new AccountTurns();
  for (let round = 0; round < 3; round++) {
    let isBegun = false;
    void turns.take('a').then(() => {
      isBegun = true;
    });
    for (let tick = 0; tick < 5; tick++) await Promise.resolve();
    expect(isBegun).toBe(true);
    // The turn in which it began ends after the next one has begun.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }
});

test('work whose last piece took long waits for as long, if another account has begun some within a second', async () => {
  let now = 0;
  const waits: number[] = [];
  const turns = new AccountTurns({ nowMs: () => now, waitMs: async (ms) => void waits.push(ms) });
  await turns.take('a', 20);
  await turns.take('a', 21);
  for (const other of ['b', 'c']) await turns.take(other);
  await turns.take('a', 22);
  await turns.take('a');
  now = 999;
  await turns.take('a', 23);
  now = 1001;
  await turns.take('a', 24);
  expect(waits).toEqual([22, 23]);
});
