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

/** A mask of the bits `from` to `to` that are bits of a word. */
export function maskOf(from: number, to: number): number {
  if (to < 0 || from > 31) return 0;
  return (-1 << Math.max(from, 0)) & (-1 >>> (31 - Math.min(to, 31)));
}

/** Counts the set bits from `from` to `to`. */
export function countSetBits(low: number, high: number, from: number, to: number): number {
  if (from > to) return 0;
  const below = from < 32 ? low & (-1 << from) & (to < 31 ? (1 << (to + 1)) - 1 : -1) : 0;
  const above = to < 32 ? 0 : high & (from > 32 ? -1 << (from - 32) : -1) & (to < 63 ? (1 << (to - 31)) - 1 : -1);
  return bitCount(below) + bitCount(above);
}

/** Counts the set bits of a word by pairs, nibbles and bytes. */
function bitCount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
