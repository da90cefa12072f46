import { setImmediate as nextLoopIteration } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ByteBudget, type Permit } from '../../../src/storage/blobs/byte-budget.js';

const { signal } = new AbortController();

/** A budget of 100 bytes, and the permits of accounts in the order in which they were granted. */
function newBudget() {
  const budget = new ByteBudget(100, 'space');
  const granted = new Map<string, Permit>();
  const ask = (accountId: string, bytes: number) =>
    void budget.acquire(bytes, { accountId, signal }).then((permit) => granted.set(`${accountId} ${bytes}`, permit));
  const release = (name: string, keep = 0) => granted.get(name)!.shrinkTo(keep);
  const names = async () => {
    await nextLoopIteration();
    return [...granted.keys()];
  };
  return { budget, ask, release, names };
}

test('an account holds at most half, and its further requests wait for it alone, in order', async () => {
  const { budget, ask, release, names } = newBudget();
  ask('ada', 40);
  ask('ada', 20);
  ask('ada', 5);
  ask('bob', 50);
  expect(await names()).toEqual(['ada 40', 'bob 50']);
  release('bob 50');
  expect(await names()).toEqual(['ada 40', 'bob 50']);
  release('ada 40');
  expect(await names()).toEqual(['ada 40', 'bob 50', 'ada 20', 'ada 5']);
  await expect(budget.acquire(51, { accountId: 'ada', signal })).rejects.toThrow('exceed');
  expect(await budget.acquire(75, { signal })).toBeDefined();
});

test('the account that holds least is next, and later requests wait until it has its permit', async () => {
  const { ask, release, names } = newBudget();
  ask('ada', 10);
  ask('bob', 50);
  ask('eve', 35);
  ask('ada', 15);
  ask('fay', 20);
  // There is space for it.
  ask('dan', 5);
  expect(await names()).toEqual(['ada 10', 'bob 50', 'eve 35']);
  release('bob 50', 30);
  expect(await names()).toEqual(['ada 10', 'bob 50', 'eve 35', 'fay 20', 'dan 5']);
  release('bob 50');
  expect(await names()).toEqual(['ada 10', 'bob 50', 'eve 35', 'fay 20', 'dan 5', 'ada 15']);
});
