import type { Luma } from './luma.js';

const COLUMNS = 9;
const ROWS = 8;

/** How many bits a hash has. */
export const HASH_BITS = 64;

/** How many shades an image comes down to. */
export const SHADES = COLUMNS * ROWS;

/** Shades as near as this are one: noise and re-encoding must not flip bits in a clear sky. */
const SAME_SHADE = 1;

/** The first 32 bits and the others. */
export type Hash = readonly [number, number];

/** What an image comes down to in 9 by 8 fields: the mean shade of each. */
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
 * A difference hash: one bit for each field that is lighter than its neighbour to the right. Copies that were scaled,
 * re-encoded or made lighter have the same one, but for a few bits (N. Krawetz, "Kind of Like That", 2013).
 */
export function hashOf(shades: Uint8Array): Hash {
  const hash: [number, number] = [0, 0];
  for (let bit = 0; bit < HASH_BITS; bit++) {
    const at = Math.floor(bit / (COLUMNS - 1)) * COLUMNS + (bit % (COLUMNS - 1));
    if (shades[at]! - shades[at + 1]! > SAME_SHADE) hash[bit >> 5]! |= 1 << (bit & 31);
  }
  return hash;
}

/** In how many bits two hashes differ. */
export function distanceOf(a: Hash, b: Hash): number {
  return bitsIn(a[0] ^ b[0]) + bitsIn(a[1] ^ b[1]);
}

/** Of 32 bits, how many are set (H. S. Warren, "Hacker's Delight", 5-1). */
function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Where a field begins and ends, with a pixel in it at the least. */
function spanOf(field: number, fields: number, pixels: number): [number, number] {
  const from = Math.min(Math.floor((field * pixels) / fields), pixels - 1);
  return [from, Math.max(from + 1, Math.floor(((field + 1) * pixels) / fields))];
}
