import { expect, test } from 'vitest';
import { bucketOf, bucketsOf, isBelow } from '../../src/dataset/buckets.js';

const nameOf = ({ width, height }: { width: number; height: number }) => `${width}x${height}`;

// Calculated by hand after ai-toolkit's toolkit/buckets.py: the exact size, the four sizes around it, and of those within
// the resolution the nearest in area.
test.each([
  // Already a bucket.
  [1024, 1024, 1024, 16, '1024x1024'],
  [832, 1216, 1024, 32, '832x1216'],
  // 1365.3 x 768.0, from 16:9: 1360 x 768 and 1376 x 768 are around it, and the second is too large.
  [1920, 1080, 1024, 16, '1360x768'],
  // 1254.1 x 836.1: 1248 x 832 = 1,038,336; 1264 x 832 = 1,051,648 and 1248 x 848 = 1,058,304 exceed 1,048,576.
  [6000, 4000, 1024, 16, '1248x832'],
  // 627.1 x 418.0 in steps of 32: 608 x 416 = 252,928; 608 x 448 = 272,384 and 640 x 416 = 266,240 are too large.
  [6000, 4000, 512, 32, '608x416'],
  // Portrait, with one side rounded up: 443.4 x 591.2; 448 x 576 = 258,048 beats 416 x 608 = 252,928.
  [3000, 4000, 512, 32, '448x576'],
  // Smaller than the resolution: its own size, enlarged by rounding only.
  [640, 480, 1024, 16, '640x480'],
  // 64 x 96 and 96 x 64 are equally near, and the first wins, although the image is in landscape.
  [90, 70, 512, 32, '64x96'],
])('%i x %i at %i in steps of %i is trained on as %s', (width, height, resolution, step, expected) => {
  expect(nameOf(bucketOf({ width, height }, { resolution, step }))).toBe(expected);
});

test('buckets contain the files that the trainer reads, images and clips apart, those with most files first', () => {
  const buckets = bucketsOf(
    [
      { filename: 'a.jpg', width: 640, height: 480 },
      { filename: 'b.PNG', width: 1280, height: 960 },
      { filename: 'c.webp', width: 1280, height: 960 },
      { filename: 'd.gif', width: 640, height: 480 },
      { filename: 'e.mp4', width: 640, height: 480 },
      { filename: 'f.wmv' },
      { filename: 'a.txt' },
    ],
    { resolution: 512, step: 16 },
  );
  const summary = buckets.map((bucket) => [bucket.kind, nameOf(bucket), bucket.files.map(({ filename }) => filename)]);
  expect(summary).toEqual([
    ['image', '576x448', ['a.jpg', 'b.PNG', 'c.webp']],
    ['video', '576x448', ['e.mp4']],
  ]);
});

test('sizes are below the resolution by the number of pixels, not by the sides', () => {
  expect(isBelow({ width: 512, height: 512 }, 512)).toBe(false);
  expect(isBelow({ width: 2000, height: 130 }, 512)).toBe(true);
});
