import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { PDQ_SIDE, pdqOf } from '../../../src/dataset/duplicates/pdq.js';
import { appearanceOf, unpackHash } from '../../../src/dataset/duplicates/perceptual-hash.js';

/* Pictures and hashes that the authors of PDQ publish: facebook/ThreatExchange, `pdq/data` and `pdq/python/pdqhashing/tests/pdq_test.py`. */

const PICTURES = [
  ['wee.jpg', '6227401f601ff4ccafcc9fad4b0d95d371a2eb7265a3285234d228ca94deeb2d'],
  ['q0122.jpg', 'cfb2009ddd21c6dab0046a7745b5984757a8a4535b3377aea2591d32b33ff940'],
  ['q0291.jpg', 'a0fe94f1e5cc1cc8dd855948498dc9243f7ca27336f036d7f212b74bc103c9a7'],
  ['q1050.jpg', '489db672e9190276d452aeab41eba20f02375fe4092d88defdf491a5c55c5f70'],
] as const;

/** The tolerance of the reference's own tests. Its decoders and filters differ from ours. */
const TOLERANCE = 16;

const BRIDGE = 'd8f8f0cce0f4a84f0e370a22028f67f0b36e2ed596623e1d33e6b39c4e9c9b22';
const MIRRORED_BRIDGE = '0dad259bb1a1bd18d362576556da32a1e63b7380c2374b4866b3c6c91b89ce77';

async function pixelsOf(name: string, maxPixels = 512) {
  const path = fileURLToPath(new URL(`../../fixtures/images/pdq/${name}`, import.meta.url));
  const small = sharp(path).resize(maxPixels, maxPixels, { fit: 'inside', withoutEnlargement: true });
  const { data, info } = await small.raw().toBuffer({ resolveWithObject: true });
  return { ...info, data };
}

/** The filter of the reference: two passes of a box, then samples. */
function reducedByReference({ width, height, channels, data }: Awaited<ReturnType<typeof pixelsOf>>): Float64Array {
  let values = Float64Array.from({ length: width * height }, (_, i) => {
    const [red, green, blue] = data.subarray(i * channels) as unknown as [number, number, number];
    return 0.299 * red + 0.587 * green + 0.114 * blue;
  });
  const blurred = (length: number, at: (i: number) => number) => {
    const size = Math.ceil(length / (2 * PDQ_SIDE));
    const after = Math.floor(size / 2);
    for (let i = 0, copy = Array.from({ length }, (_, j) => values[at(j)]!); i < length; i++) {
      const window = copy.slice(Math.max(0, i - (size - 1 - after)), i + after + 1);
      values[at(i)] = window.reduce((sum, value) => sum + value, 0) / window.length;
    }
  };
  for (let pass = 0; pass < 2; pass++) {
    for (let y = 0; y < height; y++) blurred(width, (x) => y * width + x);
    for (let x = 0; x < width; x++) blurred(height, (y) => y * width + x);
  }
  const sample = (i: number, length: number) => Math.floor(((i + 0.5) * length) / PDQ_SIDE);
  values = values.slice();
  return Float64Array.from({ length: PDQ_SIDE * PDQ_SIDE }, (_, i) => {
    return values[sample(Math.floor(i / PDQ_SIDE), height) * width + sample(i % PDQ_SIDE, width)]!;
  });
}

function bitsBetween(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + (value ^ b[i]!).toString(2).replaceAll('0', '').length, 0);
}

describe('PDQ', () => {
  test.each(PICTURES)('of the published picture %s is the published hash', async (name, published) => {
    const { hash, quality } = pdqOf(reducedByReference(await pixelsOf(name)));
    expect(Buffer.from(hash).toString('hex')).toBe(published);
    expect(quality).toBe(100);
  });

  test('of a published photo, reduced to its thumbnail, is the published hash within its tolerance, also mirrored', async () => {
    for (const maxPixels of [320, 512]) {
      const { pdq, mirrored, quality } = unpackHash(appearanceOf(await pixelsOf('bridge.jpg', maxPixels)).hash);
      expect(bitsBetween(pdq, Buffer.from(BRIDGE, 'hex'))).toBeLessThanOrEqual(TOLERANCE);
      expect(bitsBetween(mirrored, Buffer.from(MIRRORED_BRIDGE, 'hex'))).toBeLessThanOrEqual(TOLERANCE);
      expect(quality).toBe(100);
    }
  });

  test('has no quality for a picture of one colour', () => {
    expect(pdqOf(new Float64Array(PDQ_SIDE * PDQ_SIDE).fill(90)).quality).toBe(0);
  });
});
