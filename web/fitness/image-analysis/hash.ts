import type { Luma } from './luma.js';

const COLUMNS = 9;
const ROWS = 8;

/** Number of bits of a hash. */
export const HASH_BITS = 64;

/** Number of shades of an image. */
export const SHADES = COLUMNS * ROWS;

/** Only larger differences between shades set a bit, so that noise and re-encoding flip no bits in a uniform area. */
const MIN_DIFFERENCE = 1;

/** The first 32 bits and the last 32 bits. */
export type Hash = readonly [number, number];

/** Reduces an image to 9 by 8 fields: returns the mean luma of each. */
export function shadesOf({ values, width, height }: Luma): Uint8Array {
  const shades = new Uint8Array(SHADES);
  for (let row = 0; row < ROWS; row++) {
    const [top, bottom] = spanOf(row, ROWS, height);
    for (let column = 0; column < COLUMNS; column++) {
      const [left, right] = spanOf(column, COLUMNS, width);
      let sum = 0;
      for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += values[y * width + x]!;
      shades[row * COLUMNS + column] = Math.round(sum / ((bottom - top) * (right - left)));
    }
  }
  return shades;
}

/**
 * Computes a difference hash: one bit for each field, set if it is lighter than its right neighbour. The hashes of scaled,
 * re-encoded or lightened copies differ in a few bits only (N. Krawetz, "Kind of Like That", 2013).
 */
export function hashOf(shades: Uint8Array): Hash {
  const hash: [number, number] = [0, 0];
  for (let bit = 0; bit < HASH_BITS; bit++) {
    const at = Math.floor(bit / (COLUMNS - 1)) * COLUMNS + (bit % (COLUMNS - 1));
    if (shades[at]! - shades[at + 1]! > MIN_DIFFERENCE) hash[bit >> 5]! |= 1 << (bit & 31);
  }
  return hash;
}

/** The Hamming distance of two hashes. */
export function distanceOf(a: Hash, b: Hash): number {
  return bitsIn(a[0] ^ b[0]) + bitsIn(a[1] ^ b[1]);
}

/** Counts the set bits of a 32-bit word (H. S. Warren, "Hacker's Delight", 5-1). */
function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The range of pixels of a field, at least one. */
function spanOf(field: number, fields: number, pixels: number): [number, number] {
  const from = Math.min(Math.floor((field * pixels) / fields), pixels - 1);
  return [from, Math.max(from + 1, Math.floor(((field + 1) * pixels) / fields))];
}
