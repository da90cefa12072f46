import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { distanceOf, type Hash, SHADES } from '../../../web/fitness/image-analysis/hash.js';
import { gifFramesOf } from '../../../web/fitness/fixes/convert/convert-image.js';
import { analyze, type ImageAnalysis } from '../../../web/fitness/image-analysis/image-analysis.js';
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
});

test('brightness is the mean, from black to white, with transparent pixels as white', async () => {
  const plain = (value: number) =>
    analyzed(sharp({ create: { width: 40, height: 40, channels: 3, background: { r: value, g: value, b: value } } }));
  expect((await plain(0)).brightness).toBeCloseTo(0);
  expect((await plain(255)).brightness).toBeCloseTo(100);
  expect((await plain(51)).brightness).toBeCloseTo(20);
  expect(analyze({ data: new Uint8Array([0, 0, 0, 0]), width: 1, height: 1 }).brightness).toBeCloseTo(100);
});

test('sharpness falls with blur but not with fog', async () => {
  const sharpness = async (change: (image: Sharp) => Sharp) => (await analyzed(change(await picture(5)))).sharpness;
  const inFocus = await sharpness((image) => image);
  for (const sigma of [3, 12]) expect(await sharpness((image) => image.blur(sigma))).toBeLessThan(inFocus / 2);
  expect(await sharpness((image) => image.linear(0.5, 100))).toBeGreaterThan(inFocus * 0.8);
});

test('a GIF is known to be cut short at any byte, and its pictures are counted', async () => {
  expect(gifFramesOf(await media.gif())).toBe(1);
  const whole = await media.animated('gif', { width: 8, height: 8 });
  expect(gifFramesOf(whole)).toBe(2);
  for (let length = 0; length < whole.length; length++) {
    expect([length, gifFramesOf(whole.subarray(0, length))]).toEqual([length, undefined]);
  }
});

test('similar images are in one group; a black and a white one, whose hashes are equal, are not', () => {
  const plain = (shade: number, hash: Hash = [0, 0]): ImageSignature => {
    return { hash, shades: new Uint8Array(SHADES).fill(shade) };
  };
  const [far, near] = [plain(10, [0xff, 0]), plain(10, [1, 0])];
  expect(similarGroups([plain(0), plain(255), far], 5)).toEqual([]);
  expect(similarGroups([plain(0), near, far], 5)).toEqual([[0, 1]]);
});
