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
    await Promise.resolve();
    await Promise.resolve();
    expect(isBegun).toBe(true);
    // The turn in which it began ends after the next one has begun.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }
});
