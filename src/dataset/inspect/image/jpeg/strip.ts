/** The blocks that each scan of a component walks before the next scan walks them. */
export const STRIP_BLOCKS = 1024;

/** Which coefficients of the blocks of a strip are not zero: what a refinement scan needs to know of the scans before it. */
export class Strip {
  /** One bit each: coefficients 0 to 31 of a block in an even word, 32 to 63 in the odd word after it. */
  readonly nonzero = new Int32Array(STRIP_BLOCKS * 2);
  /** One bit for each block, set if it has coefficients that are not zero. */
  readonly used = new Int32Array(STRIP_BLOCKS / 32);

  clear(): void {
    this.nonzero.fill(0);
    this.used.fill(0);
  }
}

/** The bits of a word from `from` on: all if it is negative, none if it is 32 or more. */
export function maskFrom(from: number): number {
  return from < 32 ? -1 << Math.max(from, 0) : 0;
}

/** The bits of a word up to `to`: none if it is negative, all if it is 31 or more. */
export function maskTo(to: number): number {
  return ~maskFrom(to + 1);
}

/** Counts the set bits of two words by pairs, nibbles and bytes. */
export function countSetBits(low: number, high: number): number {
  let a = low - ((low >>> 1) & 0x55555555);
  let b = high - ((high >>> 1) & 0x55555555);
  a = (a & 0x33333333) + ((a >>> 2) & 0x33333333);
  b = (b & 0x33333333) + ((b >>> 2) & 0x33333333);
  const nibbles = a + b;
  return Math.imul((nibbles & 0x0f0f0f0f) + ((nibbles >>> 4) & 0x0f0f0f0f), 0x01010101) >>> 24;
}
