import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { appearanceOf, unpackHash } from '../../../src/dataset/duplicates/perceptual-hash.js';

/* Pictures and hashes that the authors of PDQ publish: facebook/ThreatExchange, `pdq/data` and `pdq/python/pdqhashing/tests/pdq_test.py`. */

/** The name of a picture, its hash and, if it is published, that of the mirrored picture. */
const PICTURES: readonly (readonly [name: string, published: string, mirroredHash?: string | undefined])[] = [
  ['wee.jpg', '6227401f601ff4ccafcc9fad4b0d95d371a2eb7265a3285234d228ca94deeb2d'],
  ['q0122.jpg', 'cfb2009ddd21c6dab0046a7745b5984757a8a4535b3377aea2591d32b33ff940'],
  ['q0291.jpg', 'a0fe94f1e5cc1cc8dd855948498dc9243f7ca27336f036d7f212b74bc103c9a7'],
  ['q1050.jpg', '489db672e9190276d452aeab41eba20f02375fe4092d88defdf491a5c55c5f70'],
  [
    'bridge.jpg',
    'd8f8f0cce0f4a84f0e370a22028f67f0b36e2ed596623e1d33e6b39c4e9c9b22',
    '0dad259bb1a1bd18d362576556da32a1e63b7380c2374b4866b3c6c91b89ce77',
  ],
];

/** The tolerance of the reference's own tests. Its decoders and filters differ from ours. */
const TOLERANCE = 16;

async function pixelsOf(name: string, maxPixels: number) {
  const path = fileURLToPath(new URL(`../../fixtures/images/pdq/${name}`, import.meta.url));
  const small = sharp(path).resize(maxPixels, maxPixels, { fit: 'inside', withoutEnlargement: true });
  const { data, info } = await small.raw().toBuffer({ resolveWithObject: true });
  return { ...info, data };
}

function bitsBetween(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + (value ^ b[i]!).toString(2).replaceAll('0', '').length, 0);
}

test('PDQ of published pictures, reduced to their thumbnails, is the published hash within its tolerance', async () => {
  for (const [name, published, mirroredHash] of PICTURES) {
    for (const maxPixels of [320, 512]) {
      const { pdq, mirrored, quality } = unpackHash(appearanceOf(await pixelsOf(name, maxPixels)).hash);
      expect(bitsBetween(pdq, Buffer.from(published, 'hex')), name).toBeLessThanOrEqual(TOLERANCE);
      if (mirroredHash !== undefined) {
        expect(bitsBetween(mirrored, Buffer.from(mirroredHash, 'hex')), name).toBeLessThanOrEqual(TOLERANCE);
      }
      expect(quality).toBe(100);
    }
  }
});
