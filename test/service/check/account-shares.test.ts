import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AccountShares } from '../../../src/service/check/account-shares.js';

/** Does one piece of work after the other, each of so many seconds, until all accounts have none. @returns whose they were, with their starts */
async function workThrough(
  pieces: Record<string, { readonly seconds: number; readonly at?: number }[]>,
): Promise<{ id: string; startedAt: number }[]> {
  const clock = { now: 0 };
  const shares = new AccountShares(() => clock.now);
  const left = new Map(Object.entries(pieces).map(([id, ofAccount]) => [id, [...ofAccount]]));
  const begun: { id: string; startedAt: number }[] = [];
  for (;;) {
    const waiting = [...left].filter(([, [first]]) => first !== undefined && (first.at ?? 0) <= clock.now);
    const [id] = shares.sorted(waiting.map(([name]) => name));
    if (id === undefined) {
      const later = [...left.values()].flatMap(([first]) => first?.at ?? []);
      if (later.length === 0) return begun;
      clock.now = Math.min(...later);
      continue;
    }
    const { seconds } = left.get(id)!.shift()!;
    begun.push({ id, startedAt: clock.now });
    await shares.run(id, async () => {
      clock.now += seconds;
    });
  }
}

const times = (count: number, seconds: number, at = 0) => Array.from({ length: count }, () => ({ seconds, at }));

test('accounts get the same time, however many pieces of work one has, and however long they take', async () => {
  const begun = await workThrough({ many: times(200, 1), few: times(20, 1), long: times(5, 20) });
  const lastOfFew = begun.findLast(({ id }) => id === 'few')!;
  expect(lastOfFew.startedAt).toBeLessThan(3 * 20 + 20);
});

test('an account that comes later waits for the piece in progress, and one that comes back has no credit', async () => {
  const hours = times(10, 3600);
  const begun = await workThrough({ hours, late: [...times(3, 30, 100), ...times(3, 30, 7300)] });
  const starts = begun.filter(({ id }) => id === 'late').map(({ startedAt }) => startedAt);
  expect(starts.slice(0, 3)).toEqual([3600, 3630, 3660]);
  expect(starts[3]).toBeLessThanOrEqual(7300 + 3600);
  // An hour later than if it had waited for nothing, the other one goes on.
  expect(begun.filter(({ id }) => id === 'hours')).toHaveLength(10);
});

test('an account whose work ends again and again starts behind those that have waited meanwhile', async () => {
  // Its next piece always arrives shortly after the other account has begun one.
  const serial = Array.from({ length: 5 }, (_, i) => ({ seconds: 1000, at: i * 1010 }));
  const begun = await workThrough({ serial, other: times(100, 10) });
  const before = begun
    .slice(
      0,
      begun.findLastIndex(({ id }) => id === 'other'),
    )
    .filter(({ id }) => id === 'serial');
  expect(before.length).toBeLessThan(3);
});

test('all work is done, in any order of arrival', async () => {
  const arriving = fc.array(fc.record({ seconds: fc.constantFrom(0, 1, 60), at: fc.integer({ min: 0, max: 99 }) }), {
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom('a', 'b', 'c'), arriving), async (pieces) => {
      const sorted = Object.entries(pieces).map(([id, each]) => [id, each.toSorted((a, b) => a.at - b.at)]);
      const begun = await workThrough(Object.fromEntries(sorted));
      expect(begun).toHaveLength(Object.values(pieces).flat().length);
    }),
  );
});
