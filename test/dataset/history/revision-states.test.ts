import fc from 'fast-check';
import { expect, test } from 'vitest';
import { revisionsTogether } from '../../../src/dataset/history/revisions.js';

interface Kept {
  readonly number: number;
  readonly startedAt: number;
  readonly changedAt: number;
}

const revision = (number: number, startedAt: number, changedAt = startedAt): Kept => ({ number, startedAt, changedAt });

const numbersTogether = (...histories: (readonly Kept[])[]) =>
  [...revisionsTogether(histories)].map((revisions) => revisions.map(({ number }) => number));

test('revisions of several datasets that were the latest at one time are found, newest first, each set once', () => {
  const anyHistory = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 6 }).map((steps) => {
    let at = 0;
    return steps
      .map(([gap, length], i) => {
        const startedAt = at + gap + 1;
        at = startedAt + length;
        return revision(i + 1, startedAt, at);
      })
      .reverse();
  });
  fc.assert(
    fc.property(anyHistory, anyHistory, anyHistory, (...histories) => {
      const expected = new Set<string>();
      for (let at = 0; at < 100; at++) {
        const current = histories.map((history) => history.find(({ startedAt }) => startedAt <= at));
        const isKept = current.every((each) => each !== undefined && each.changedAt <= at);
        if (isKept) expected.add(current.map((each) => each?.number).join());
      }
      const found = numbersTogether(...histories).map((numbers) => numbers.join());
      expect(found).toEqual([...expected].reverse());
    }),
  );
});
