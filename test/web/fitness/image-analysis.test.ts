import sharp, { type Sharp } from 'sharp';
import { expect, test } from 'vitest';
import { gifFramesOf } from '../../../web/fitness/fixes/convert/convert-image.js';
import { analyze, type ImageAnalysis } from '../../../web/fitness/image-analysis/image-analysis.js';
import * as media from '../../fixtures/media.js';

/** Analyzes a thumbnail, as the page does. */
async function analyzed(image: Sharp): Promise<ImageAnalysis> {
  const thumbnail = image.resize(320, 320, { fit: 'inside', withoutEnlargement: true }).ensureAlpha().raw();
  const { data, info } = await thumbnail.toBuffer({ resolveWithObject: true });
  return analyze({ data, width: info.width, height: info.height });
}

const picture = async (seed: number) => sharp(await media.png({ width: 640, height: 480, seed }));

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
