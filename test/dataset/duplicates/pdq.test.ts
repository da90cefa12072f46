import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { appearanceOf, unpackHash } from '../../../src/dataset/duplicates/perceptual-hash.js';

/* A photo and hashes that the authors of PDQ publish: facebook/ThreatExchange, `pdq/data` and `pdq/python/pdqhashing/tests/pdq_test.py`. */

const BRIDGE = 'd8f8f0cce0f4a84f0e370a22028f67f0b36e2ed596623e1d33e6b39c4e9c9b22';
const MIRRORED_BRIDGE = '0dad259bb1a1bd18d362576556da32a1e63b7380c2374b4866b3c6c91b89ce77';

/** The tolerance of the reference's own tests. Its decoders and filters differ from ours. */
const TOLERANCE = 16;

function bitsBetween(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + (value ^ b[i]!).toString(2).replaceAll('0', '').length, 0);
}

test('PDQ of a published photo, reduced to its thumbnail, is the published hash within its tolerance, also mirrored', async () => {
  const path = fileURLToPath(new URL('../../fixtures/images/pdq/bridge.jpg', import.meta.url));
  for (const maxPixels of [320, 512]) {
    const small = sharp(path).resize(maxPixels, maxPixels, { fit: 'inside' });
    const { data, info } = await small.raw().toBuffer({ resolveWithObject: true });
    const { pdq, mirrored, quality } = unpackHash(appearanceOf({ ...info, data }).hash);
    expect(bitsBetween(pdq, Buffer.from(BRIDGE, 'hex'))).toBeLessThanOrEqual(TOLERANCE);
    expect(bitsBetween(mirrored, Buffer.from(MIRRORED_BRIDGE, 'hex'))).toBeLessThanOrEqual(TOLERANCE);
    expect(quality).toBe(100);
  }
});
