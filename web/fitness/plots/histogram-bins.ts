export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export interface BinRange {
  readonly from: number;
  readonly to: number;
  readonly bins: number;
}

/** Counts values in bins of equal width. Values beyond the range count in the first or the last bin. */
export function binsOf(values: Iterable<number>, { from, to, bins }: BinRange): Bin[] {
  const counts = new Array<number>(bins).fill(0);
  const step = (to - from) / bins;
  for (const value of values) {
    const index = Math.min(Math.max(Math.floor((value - from) / step), 0), bins - 1);
    counts[index]!++;
  }
  return counts.map((count, index) => ({ from: from + index * step, to: from + (index + 1) * step, count }));
}

/** The median, the upper one of an even number of values; `undefined` for no values. */
export function medianOf(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
