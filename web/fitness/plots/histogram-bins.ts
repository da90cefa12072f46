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

/** How many values are in each of so many steps of one size; what lies beyond is counted in the first or last of them. */
export function binsOf(values: Iterable<number>, { from, to, bins }: BinRange): Bin[] {
  const counts = new Array<number>(bins).fill(0);
  const step = (to - from) / bins;
  for (const value of values) {
    const place = Math.min(Math.max(Math.floor((value - from) / step), 0), bins - 1);
    counts[place]!++;
  }
  return counts.map((count, place) => ({ from: from + place * step, to: from + (place + 1) * step, count }));
}

/** The middle one of the values, `undefined` where there are none. */
export function medianOf(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
