import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestWithLinks } from '../../../src/dataset/digest.js';
import { linkedMoments } from '../../../src/dataset/pairs/linked-moments.js';

interface Kept {
  readonly number: number;
  readonly startedAt: number;
  readonly changedAt: number;
  readonly digest: string;
  readonly isReady: boolean;
}

const revision = (number: number, [startedAt, changedAt]: readonly [number, number], isReady = true): Kept => ({
  ...{ number, startedAt, changedAt, isReady },
  digest: `digest-${number}-${startedAt}`,
});

/** The numbers of the revisions of each moment: the target's, then those of its links. */
function numbersAt(target: readonly Kept[], ...linked: (readonly Kept[])[]): number[][] {
  const slots = ['control_1', 'control_2', 'mask'] as const;
  const links = linked.map((revisions, i) => ({ slot: slots[i]!, revisions }));
  return [...linkedMoments(target, links)].flatMap((moment) =>
    moment === undefined ? [] : [[moment.target.number, ...moment.links.map((link) => link.revision.number)]],
  );
}

describe('the moments of a dataset with links', () => {
  test('are the sets of revisions that were the latest at one time, newest first', () => {
    const target = [revision(3, [50, 50]), revision(2, [30, 30]), revision(1, [10, 10])];
    const control = [revision(2, [40, 40]), revision(1, [20, 20])];
    expect(numbersAt(target, control)).toEqual([
      [3, 2],
      [2, 2],
      [2, 1],
      [1, 1],
    ]);
  });

  test('leave out what a revision was before its last change', () => {
    const target = [revision(2, [30, 60]), revision(1, [10, 10])];
    const control = [revision(2, [40, 40]), revision(1, [20, 20])];
    expect(numbersAt(target, control)).toEqual([
      [2, 2],
      [1, 1],
    ]);
  });

  test('leave out revisions that are not READY, and those that are not kept', () => {
    const target = [revision(4, [50, 50]), revision(2, [30, 30], false), revision(1, [10, 10])];
    expect(numbersAt(target, [revision(7, [1, 1])])).toEqual([
      [4, 7],
      [1, 7],
    ]);
    expect(numbersAt(target, [revision(7, [1, 1], false)])).toEqual([]);
    expect(numbersAt(target, [])).toEqual([]);
  });

  test('have the digest that the dataset had, by all its links', () => {
    const [target, depth, mask] = [revision(1, [1, 1]), revision(2, [2, 2]), revision(3, [3, 3])];
    const [moment] = linkedMoments(
      [target],
      [
        { slot: 'control_1', revisions: [depth] },
        { slot: 'mask', revisions: [mask] },
      ],
    );
    expect(moment?.digest).toBe(
      digestWithLinks(target.digest, [
        { slot: 'control_1', digest: depth.digest },
        { slot: 'mask', digest: mask.digest },
      ]),
    );
  });

  test('are found in any histories, and each only once', () => {
    const anyHistory = fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.boolean()), { maxLength: 6 }).map((steps) => {
      let at = 0;
      return steps
        .map(([gap, length, isReady], i) => {
          const startedAt = at + gap + 1;
          at = startedAt + length;
          return revision(i + 1, [startedAt, at], isReady);
        })
        .reverse();
    });
    const latestAt = (history: readonly Kept[], at: number) => history.find(({ startedAt }) => startedAt <= at);
    fc.assert(
      fc.property(anyHistory, anyHistory, anyHistory, (target, control, mask) => {
        const expected = new Set<string>();
        for (let at = 0; at < 100; at++) {
          const current = [target, control, mask].map((history) => latestAt(history, at));
          const isKept = current.every((each) => each?.isReady && each.changedAt <= at);
          if (isKept) expected.add(current.map((each) => each?.number).join());
        }
        const found = numbersAt(target, control, mask).map((numbers) => numbers.join());
        expect([...found].sort()).toEqual([...expected].sort());
      }),
    );
  });
});
