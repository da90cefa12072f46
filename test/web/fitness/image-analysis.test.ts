import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import {
  distanceOf,
  HASH_BITS,
  type Hash,
  hashOf,
  SHADES,
  shadesOf,
} from '../../../web/fitness/image-analysis/hash.js';
import { analyze, type ImageAnalysis } from '../../../web/fitness/image-analysis/image-analysis.js';
import { lumaOf } from '../../../web/fitness/image-analysis/luma.js';
import { type ImageSignature, similarGroups } from '../../../web/fitness/image-analysis/similar.js';
import * as media from '../../fixtures/media.js';

/** Analyzes a thumbnail, as the page does. */
async function analyzed(image: Sharp): Promise<ImageAnalysis> {
  const thumbnail = image.resize(320, 320, { fit: 'inside', withoutEnlargement: true }).ensureAlpha().raw();
  const { data, info } = await thumbnail.toBuffer({ resolveWithObject: true });
  return analyze({ data, width: info.width, height: info.height });
}

const picture = async (seed: number) => sharp(await media.png({ width: 640, height: 480, seed }));

describe('the hash of an image', () => {
  test('stays nearly the same when the image is scaled, re-encoded or lightened', async () => {
    const { hash } = await analyzed(await picture(5));
    const changed = {
      scaled: (await picture(5)).resize(410),
      encoded: sharp(await (await picture(5)).jpeg({ quality: 40 }).toBuffer()),
      lighter: (await picture(5)).linear(0.8, 40),
    };
    for (const [name, image] of Object.entries(changed)) {
      expect([name, distanceOf(hash, (await analyzed(image)).hash) <= 5]).toEqual([name, true]);
    }
  });

  test('differs for another image, and for a mirrored one', async () => {
    const { hash } = await analyzed(await picture(5));
    expect(distanceOf(hash, (await analyzed(await picture(40))).hash)).toBeGreaterThan(10);
    expect(distanceOf(hash, (await analyzed((await picture(5)).flop())).hash)).toBeGreaterThan(10);
  });

  test('has a distance that counts the differing bits', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    const bits = (value: number) => [...(value >>> 0).toString(2)].filter((bit) => bit === '1').length;
    fc.assert(
      fc.property(word, word, word, word, (a, b, c, d) => {
        expect(distanceOf([a, b], [c, d])).toBe(bits(a ^ c) + bits(b ^ d));
      }),
    );
  });

  test('works for an image of one pixel', () => {
    const luma = lumaOf({ data: new Uint8Array([9, 9, 9, 255]), width: 1, height: 1 });
    expect([...shadesOf(luma)]).toEqual(Array(SHADES).fill(9));
    expect(hashOf(shadesOf(luma))).toEqual([0, 0]);
  });
});

describe('brightness', () => {
  test('is the mean, from black to white', async () => {
    const plain = (value: number) =>
      analyzed(sharp({ create: { width: 40, height: 40, channels: 3, background: { r: value, g: value, b: value } } }));
    expect((await plain(0)).brightness).toBeCloseTo(0);
    expect((await plain(255)).brightness).toBeCloseTo(100);
    expect((await plain(51)).brightness).toBeCloseTo(20);
  });

  test('counts transparent pixels as white', () => {
    expect(analyze({ data: new Uint8Array([0, 0, 0, 0]), width: 1, height: 1 }).brightness).toBeCloseTo(100);
  });
});

describe('sharpness', () => {
  test('falls with blur but not with fog', async () => {
    const sharpness = async (change: (image: Sharp) => Sharp) => (await analyzed(change(await picture(5)))).sharpness;
    const inFocus = await sharpness((image) => image);
    for (const sigma of [3, 12]) {
      expect(await sharpness((image) => image.blur(sigma))).toBeLessThan(inFocus / 2);
    }
    expect(await sharpness((image) => image.linear(0.5, 100))).toBeGreaterThan(inFocus * 0.8);
  });
});

describe('groups of similar images', () => {
  const shades = fc.uint8Array({ minLength: SHADES, maxLength: SHADES });
  const near = (hash: Hash, flips: readonly number[]): Hash => {
    const copy: [number, number] = [...hash];
    for (const bit of flips) copy[bit >> 5]! ^= 1 << (bit & 31);
    return copy;
  };

  /** Compares every image with every other. */
  function groupsByBruteForce(images: readonly ImageSignature[], most: number): number[][] {
    const groups: number[][] = [];
    for (const [place, image] of images.entries()) {
      const isAlike = (other: number) => {
        const before = images[other]!;
        const apart = before.shades.reduce((sum, shade, at) => sum + Math.abs(shade - image.shades[at]!), 0) / SHADES;
        return distanceOf(before.hash, image.hash) <= most && apart <= 24;
      };
      const joined = groups.filter((group) => group.some(isAlike));
      for (const group of joined) groups.splice(groups.indexOf(group), 1);
      groups.push([...joined.flat(), place]);
    }
    return groups.filter(({ length }) => length > 1);
  }

  const sorted = (groups: readonly (readonly number[])[]) =>
    groups.map((group) => group.toSorted((a, b) => a - b)).toSorted((a, b) => a[0]! - b[0]!);

  test('are the same as with a comparison of every pair', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    const bit = fc.integer({ min: 0, max: HASH_BITS - 1 });
    // A few random images and many variants of them: random images alone would hardly ever be similar.
    const images = fc.array(fc.tuple(word, word, shades), { minLength: 1, maxLength: 4 }).chain((originals) =>
      fc.array(
        fc
          .tuple(fc.nat({ max: originals.length - 1 }), fc.array(bit, { maxLength: 8 }))
          .map(([at, flips]): ImageSignature => {
            const [first, second, own] = originals[at]!;
            return { hash: near([first, second], flips), shades: own };
          }),
        { maxLength: 40 },
      ),
    );
    fc.assert(
      fc.property(images, fc.nat({ max: 10 }), (all, most) => {
        expect(sorted(similarGroups(all, most))).toEqual(sorted(groupsByBruteForce(all, most)));
      }),
      { numRuns: 300 },
    );
  });

  test('do not include a black and a white one, whose hashes are equal', () => {
    const plain = (shade: number): ImageSignature => ({ hash: [0, 0], shades: new Uint8Array(SHADES).fill(shade) });
    expect(similarGroups([plain(0), plain(255)], 5)).toEqual([]);
    expect(similarGroups([plain(0), plain(10)], 5)).toEqual([[0, 1]]);
  });
});
