import type { Size } from '../../../src/dataset/buckets.js';

/** Images of one size or, where there are very many sizes, of about one size. */
export interface SizeCell extends Size {
  readonly count: number;
}

/** So many dots can be told from one another, and be drawn at once. */
const MOST_CELLS = 400;

/** Steps of a doubling into which sizes are put together where there are too many, finer first. */
const STEPS = [16, 8, 4, 2];

/** Sizes with how often each is there, the most frequent first. */
export function cellsOf(sizes: readonly Size[]): SizeCell[] {
  const exact = counted(sizes);
  if (exact.length <= MOST_CELLS) return exact;
  for (const step of STEPS) {
    const cells = counted(sizes.map(({ width, height }) => ({ width: near(width, step), height: near(height, step) })));
    if (cells.length <= MOST_CELLS) return cells;
  }
  return exact.slice(0, MOST_CELLS);
}

function counted(sizes: readonly Size[]): SizeCell[] {
  const cells = new Map<string, { width: number; height: number; count: number }>();
  for (const { width, height } of sizes) {
    const key = `${width}x${height}`;
    const cell = cells.get(key);
    if (cell === undefined) cells.set(key, { width, height, count: 1 });
    else cell.count++;
  }
  return [...cells.values()].sort((a, b) => b.count - a.count);
}

function near(pixels: number, step: number): number {
  return Math.round(2 ** (Math.round(Math.log2(pixels) * step) / step));
}
