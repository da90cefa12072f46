import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeThumbnail, NoThumbnail } from '../../../../src/dataset/inspect/image/thumbnail.js';
import * as media from '../../../fixtures/media.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'thumbnail-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
async function thumbnailOf(bytes: Buffer) {
  const path = media.written(folder, `file-${files++}`, bytes);
  return sharp(await makeThumbnail({ path, maxPixels: 320 })).metadata();
}

test('an image of any kind becomes an upright WebP with its longer side shortened', async () => {
  const makers = [media.jpeg, media.png, media.webp, media.tiff, media.avif, media.gif];
  for (const make of makers) {
    expect(await thumbnailOf(await make({ width: 800, height: 500 }))).toMatchObject({
      format: 'webp',
      width: 320,
      height: 200,
    });
  }
  const turned = await thumbnailOf(await media.jpeg({ width: 800, height: 500, orientation: 6 }));
  expect(turned).toMatchObject({ width: 200, height: 320 });
  expect([turned.orientation, turned.exif, turned.icc]).toEqual([undefined, undefined, undefined]);
});

test('a small image is not enlarged, an animated one stands still', async () => {
  expect(await thumbnailOf(await media.png({ width: 40, height: 20 }))).toMatchObject({ width: 40, height: 20 });
  const still = await thumbnailOf(await media.animated('webp', { width: 400, height: 400 }));
  expect(still).toMatchObject({ width: 320, height: 320 });
  expect(still.pages ?? 1).toBe(1);
});

test('what can have no thumbnail says so', async () => {
  const refused: [Buffer, string][] = [
    [media.clip('faststart.mp4'), 'MP4 video'],
    [media.captionBytes(), 'plain text'],
    [media.damaged.svg(), 'SVG'],
    [media.bmp(), 'BMP'],
    [media.damaged.bomb(), '30,000×30,000'],
    [(await media.jpeg()).subarray(0, 700), 'cut short'],
    [Buffer.alloc(0), 'nothing'],
  ];
  for (const [bytes, reason] of refused) {
    const path = media.written(folder, `refused-${files++}`, bytes);
    const outcome = makeThumbnail({ path, maxPixels: 320 });
    await expect(outcome, reason).rejects.toThrow(NoThumbnail);
    await expect(outcome).rejects.toThrow(reason);
  }
  await expect(makeThumbnail({ path: join(folder, 'gone'), maxPixels: 320 })).rejects.toThrow('ENOENT');
});
