import { describe, expect, test } from 'vitest';
import { cropOf, cutText } from '../../../web/pairs/viewer/crop.js';
import { FITTED, type StageFrame, panned, placementOf, scaledBy, toggledZoom } from '../../../web/pairs/viewer/zoom.js';

const STAGE = { width: 600, height: 600 };
const LARGE: StageFrame = { picture: { width: 3000, height: 2000 }, stage: STAGE, pixel: 1 };
const SMALL: StageFrame = { picture: { width: 60, height: 30 }, stage: STAGE, pixel: 1 };

describe('a picture on its stage', () => {
  test('fits, in the middle, and small ones are enlarged', () => {
    expect(placementOf(FITTED, LARGE)).toMatchObject({ scale: 0.2, left: 0, top: 100, width: 600, height: 400 });
    expect(placementOf(FITTED, SMALL)).toMatchObject({ scale: 10, left: 0, top: 150, width: 600, height: 300 });
  });

  test('is shown at 100 % around the pointer, and back; a pixel is one of the screen', () => {
    const point = { x: 150, y: 200 };
    const actual = toggledZoom(FITTED, LARGE, point);
    // The pointer was over a quarter of the width and of the height.
    expect(placementOf(actual, LARGE)).toMatchObject({ scale: 1, left: 150 - 750, top: 200 - 500 });
    expect(toggledZoom(actual, LARGE, point)).toEqual(FITTED);
    expect(placementOf(toggledZoom(FITTED, SMALL, point), SMALL)).toMatchObject({ scale: 1, left: 270, top: 285 });
    expect(placementOf(actual, { ...LARGE, pixel: 0.5 }).scale).toBe(0.5);
  });

  test('keeps what is at the pointer when the size changes, until an edge would leave a gap', () => {
    const point = { x: 400, y: 350 };
    const twice = scaledBy(2, FITTED, LARGE, point);
    const { left, top, width, height } = placementOf(twice, LARGE);
    expect([(point.x - left) / width, (point.y - top) / height]).toEqual([
      expect.closeTo(400 / 600),
      expect.closeTo(250 / 400),
    ]);
    const corner = placementOf(panned(twice, LARGE, { x: 9000, y: 9000 }), LARGE);
    expect([corner.left, corner.top]).toEqual([0, 0]);
    expect(scaledBy(0.5, twice, LARGE, point)).toEqual(FITTED);
    expect(placementOf(scaledBy(1000, FITTED, LARGE, point), LARGE).scale).toBe(8);
    expect(placementOf(scaledBy(0.001, FITTED, SMALL, point), SMALL).scale).toBe(1);
  });

  test('moves with the pointer, and shows the same part of a picture of another size', () => {
    const actual = toggledZoom(FITTED, LARGE, { x: 300, y: 300 });
    const moved = panned(actual, LARGE, { x: -100, y: 50 });
    expect(placementOf(moved, LARGE)).toMatchObject({ left: -1300, top: -650 });
    const half: StageFrame = { ...LARGE, picture: { width: 1500, height: 1000 } };
    const twice = scaledBy(2, FITTED, LARGE, { x: 400, y: 300 });
    const [large, small] = [placementOf(twice, LARGE), placementOf(twice, half)];
    expect(small).toMatchObject({ left: large.left, top: large.top, width: large.width });
  });
});

test('the trainer scales a picture to cover its bucket, and takes the middle', () => {
  const rules = { resolution: 1024, step: 32 };
  const picture = { width: 1100, height: 1000 };
  const crop = cropOf(picture, rules);
  expect(crop.bucket.width % 32 || crop.bucket.height % 32).toBe(0);
  const { width, height } = crop.taken;
  expect(width / height).toBeCloseTo(crop.bucket.width / crop.bucket.height);
  expect(Math.min(1100 - width, 1000 - height)).toBeCloseTo(0);
  expect(cutText(picture, crop)).toMatch(/^cuts \d+ px at the (left and at the right|top and at the bottom)$/);
  expect(cutText({ width: 1024, height: 1024 }, cropOf({ width: 1024, height: 1024 }, rules))).toBe('cuts nothing');
});
