import { useMemo, useState } from 'react';
import type { Pair } from '../live/pairs.js';
import { dateOf } from '../ui/ago.js';

/** Larger than any other, for pairs without media: the difference of two infinities is no number. */
const LAST = Number.MAX_SAFE_INTEGER;

interface OrderOfPairs {
  readonly words: string;
  /** The pairs with lower values come first. */
  readonly valueOf: (pair: Pair) => number;
}

/** How pairs are sorted, by what the address says. */
export const PAIR_ORDERS = {
  name: { words: 'Name', valueOf: () => 0 },
  newest: {
    words: 'Newest first',
    valueOf: ({ files }) => -Math.max(...files.map(({ uploaded_at }) => dateOf(uploaded_at).getTime() || 0)),
  },
  pixels: {
    words: 'Fewest pixels first',
    valueOf: ({ media: [first] }) => (first === undefined ? LAST : (first.width ?? 0) * (first.height ?? 0)),
  },
  shape: {
    words: 'Tall to wide',
    valueOf: ({ media: [first] }) => (first === undefined ? LAST : (first.width ?? 1) / (first.height ?? 1)),
  },
  size: {
    words: 'Largest files first',
    valueOf: ({ media }) => -media.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
  },
  short: { words: 'Shortest captions first', valueOf: ({ caption }) => caption?.characters ?? 0 },
  long: { words: 'Longest captions first', valueOf: ({ caption }) => -(caption?.characters ?? 0) },
  length: { words: 'Longest clips first', valueOf: ({ media: [first] }) => -(first?.duration_seconds ?? 0) },
} as const satisfies Record<string, OrderOfPairs>;

export type PairOrder = keyof typeof PAIR_ORDERS;

/** A filter that was chosen, with the pairs that have matched it since. */
interface FrozenOrder {
  readonly key: string;
  /** What each pair was sorted by when it matched first, by stem: the lower value first. */
  readonly values: ReadonlyMap<string, number>;
}

export const NOTHING_FROZEN: FrozenOrder = { key: '', values: new Map() };

/**
 * Adds pairs that match now. A pair stays, and keeps its place, when its caption was written or its tag removed: the others do
 * not move while a person works.
 *
 * @returns the same object if there is nothing to add
 */
export function frozenAfter(
  before: FrozenOrder,
  key: string,
  { matching, order }: { matching: readonly Pair[]; order: PairOrder },
): FrozenOrder {
  const known = before.key === key ? before.values : new Map<string, number>();
  const added = matching.filter(({ stem }) => !known.has(stem));
  if (before.key === key && added.length === 0) return before;
  return {
    key,
    values: new Map([...known, ...added.map((pair) => [pair.stem, PAIR_ORDERS[order].valueOf(pair)] as const)]),
  };
}

/** The pairs of a frozen order that still exist. Those of one value stay in the order of their names. */
export function inFrozenOrder({ values }: FrozenOrder, pairs: readonly Pair[]): readonly Pair[] {
  const valueAtFirst = ({ stem }: Pair) => values.get(stem) ?? 0;
  return pairs.filter(({ stem }) => values.has(stem)).sort((a, b) => valueAtFirst(a) - valueAtFirst(b));
}

/** The pairs that match now or have matched since the filter of this key was chosen, in the order that they had at first. */
export function useFrozenOrder(
  key: string,
  pairs: readonly Pair[],
  { matching, order }: { matching: readonly Pair[]; order: PairOrder },
): readonly Pair[] {
  const [before, setFrozen] = useState(NOTHING_FROZEN);
  const frozen = frozenAfter(before, key, { matching, order });
  if (frozen !== before) setFrozen(frozen);
  return useMemo(() => inFrozenOrder(frozen, pairs), [frozen, pairs]);
}
