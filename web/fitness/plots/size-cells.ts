import type { Size } from '../../../src/dataset/buckets.js';

/** A dot of the scatter plot: images of one size or, if there are too many sizes, of similar sizes. */
export interface SizeCell extends Size {
  readonly count: number;
}

/** More dots would be slow to draw and hard to tell apart. */
const MAX_CELLS = 400;

/** Too many sizes are rounded to this many steps per doubling. Finer steps are tried first. */
const STEPS_PER_DOUBLING = [16, 8, 4, 2];

/** Counts sizes, the most frequent first. */
export function cellsOf(sizes: readonly Size[]): SizeCell[] {
  const exact = countSizes(sizes);
  if (exact.length <= MAX_CELLS) return exact;
  for (const step of STEPS_PER_DOUBLING) {
    const cells = countSizes(
      sizes.map(({ width, height }) => ({ width: rounded(width, step), height: rounded(height, step) })),
    );
    if (cells.length <= MAX_CELLS) return cells;
  }
  return exact.slice(0, MAX_CELLS);
}

function countSizes(sizes: readonly Size[]): SizeCell[] {
  const cells = new Map<string, { width: number; height: number; count: number }>();
  for (const { width, height } of sizes) {
    const key = `${width}x${height}`;
    const cell = cells.get(key);
    if (cell === undefined) cells.set(key, { width, height, count: 1 });
    else cell.count++;
  }
  return [...cells.values()].sort((a, b) => b.count - a.count);
}

function rounded(pixels: number, step: number): number {
  return Math.round(2 ** (Math.round(Math.log2(pixels) * step) / step));
}
