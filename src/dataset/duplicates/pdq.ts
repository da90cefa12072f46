/* PDQ, a perceptual hash of 256 bits (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019). */

/** The picture is reduced to so many pixels a side. */
export const PDQ_SIDE = 64;
const PIXELS = PDQ_SIDE * PDQ_SIDE;
const FREQUENCIES = 16;
const BITS = FREQUENCIES * FREQUENCIES;

/** The lowest frequencies of a cosine transform, without the constant one. */
const COSINES = Float64Array.from({ length: FREQUENCIES * PDQ_SIDE }, (_, at) => {
  const [frequency, sample] = [Math.floor(at / PDQ_SIDE) + 1, at % PDQ_SIDE];
  return Math.sqrt(2 / PDQ_SIDE) * Math.cos((Math.PI / 2 / PDQ_SIDE) * frequency * (2 * sample + 1));
});

/**
 * @param brightness 64 × 64 values from 0 to 255, row by row
 * @returns the hash, that of the mirror image, and the quality from 0 to 100: how much there is to see
 */
export function pdqOf(brightness: Float64Array): { hash: Uint8Array; mirrored: Uint8Array; quality: number } {
  const transformed = cosineTransformOf(cosineTransformOf(brightness));
  // Exchanging left and right negates the odd horizontal frequencies, which are in the even columns.
  const mirrored = transformed.map((value, at) => (at % 2 === 0 ? -value : value));
  return { hash: hashOf(transformed), mirrored: hashOf(mirrored), quality: qualityOf(brightness) };
}

function qualityOf(brightness: Float64Array): number {
  const stepOf = (a: number, b: number) => Math.abs(Math.trunc(((brightness[a]! - brightness[b]!) * 100) / 255));
  let steps = 0;
  for (let at = 0; at < PIXELS; at++) {
    if (at + PDQ_SIDE < PIXELS) steps += stepOf(at, at + PDQ_SIDE);
    if ((at + 1) % PDQ_SIDE !== 0) steps += stepOf(at, at + 1);
  }
  return Math.min(Math.trunc(steps / 90), 100);
}

/** Transforms each column into a row of frequencies. Done twice, it transforms both directions. */
function cosineTransformOf(values: Float64Array): Float64Array {
  const columns = values.length / PDQ_SIDE;
  return Float64Array.from({ length: columns * FREQUENCIES }, (_, at) => {
    const [column, frequency] = [Math.floor(at / FREQUENCIES), at % FREQUENCIES];
    let sum = 0;
    for (let i = 0; i < PDQ_SIDE; i++) sum += COSINES[frequency * PDQ_SIDE + i]! * values[i * columns + column]!;
    return sum;
  });
}

/** A bit for each frequency that is stronger than the median; the first is the last bit of the hash. */
function hashOf(transformed: Float64Array): Uint8Array {
  const median = transformed.toSorted()[BITS / 2 - 1]!;
  const hash = new Uint8Array(BITS / 8);
  for (const [at, value] of transformed.entries()) {
    if (value > median) hash[hash.length - 1 - (at >> 3)]! |= 1 << (at & 7);
  }
  return hash;
}
