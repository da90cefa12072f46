import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { makeThumbnail, NoThumbnail } from '../../../../src/dataset/inspect/image/thumbnail.js';
import * as media from '../../../fixtures/media.js';
import { FOLDER, writeUpload } from '../../../harness/inspecting.js';

async function thumbnailOf(bytes: Buffer) {
  const path = writeUpload(bytes);
  return sharp((await makeThumbnail({ path, maxPixels: 320 })).webp).metadata();
}

test('an image of any format becomes an upright WebP, scaled down to its longer side', async () => {
  const makers = [media.jpeg, media.png, media.webp, media.tiff, media.avif, media.gif];
  for (const make of makers) {
    expect(await thumbnailOf(await make({ width: 800, height: 500 }))).toMatchObject({
      format: 'webp',
      width: 320,
      height: 200,
    });
  }
  const rotated = await thumbnailOf(await media.jpeg({ width: 800, height: 500, orientation: 6 }));
  expect(rotated).toMatchObject({ width: 200, height: 320 });
  expect([rotated.orientation, rotated.exif, rotated.icc]).toEqual([undefined, undefined, undefined]);
});

test('a small image is not enlarged, and of an animation only the first frame is used', async () => {
  expect(await thumbnailOf(await media.png({ width: 40, height: 20 }))).toMatchObject({ width: 40, height: 20 });
  const still = await thumbnailOf(await media.animated('webp', { width: 400, height: 400 }));
  expect(still).toMatchObject({ width: 320, height: 320 });
  expect(still.pages ?? 1).toBe(1);
});

test('a file that can have no thumbnail is rejected with the reason', async () => {
  const rejected: [Buffer, string][] = [
    [media.clip('faststart.mp4'), 'MP4 video'],
    [media.captionBytes(), 'plain text'],
    [media.damaged.svg(), 'SVG'],
    [media.bmp(), 'BMP'],
    [media.damaged.bomb(), '30,000×30,000'],
    [(await media.jpeg()).subarray(0, 700), 'truncated'],
    [Buffer.alloc(0), 'empty'],
  ];
  for (const [bytes, reason] of rejected) {
    const path = writeUpload(bytes);
    const outcome = makeThumbnail({ path, maxPixels: 320 });
    await expect(outcome, reason).rejects.toThrow(NoThumbnail);
    await expect(outcome).rejects.toThrow(reason);
  }
  await expect(makeThumbnail({ path: join(FOLDER, 'gone'), maxPixels: 320 })).rejects.toThrow('ENOENT');
});
