import { expect, test } from 'vitest';
import { cropOf, cutText } from '../../../web/pairs/viewer/crop-frame.js';

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
