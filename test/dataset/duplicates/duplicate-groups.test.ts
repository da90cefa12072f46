import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';
import { thumbHashToAverageRGBA } from 'thumbhash';
import { describe, expect, test } from 'vitest';
import { type ComparedFile, duplicateGroups } from '../../../src/dataset/duplicates/duplicate-groups.js';
import { makeThumbnail } from '../../../src/dataset/inspect/image/thumbnail.js';
import { writeUpload } from '../../harness/inspecting.js';
import { cropped } from './picture-series.js';

// Only the service must not read it.
sharp.unblock({ operation: ['VipsForeignLoadSvg'] });

const photo = (name: string) => readFileSync(new URL(`../../fixtures/images/pdq/${name}`, import.meta.url));
const BRIDGE = photo('bridge.jpg');
const GRASS = photo('q0291.jpg');
const STREET = photo('q1050.jpg');

async function fileOf(
  filename: string,
  image: Sharp | Buffer,
  facts: Partial<ComparedFile> = {},
): Promise<ComparedFile> {
  const bytes = Buffer.isBuffer(image) ? image : await image.toBuffer();
  const { width, height } = await sharp(bytes).metadata();
  const { hash } = await makeThumbnail({ path: writeUpload(bytes), maxPixels: 320 });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const known = { filename, sha256, sizeBytes: bytes.length, pixels: width * height, hasCaption: false, storedAt: 1 };
  return { ...known, hash, ...facts };
}

/** A group for each line: the keeper, its reason, and the members with their kinds. */
function groupsOf(files: readonly ComparedFile[], areDifferent = (_a: string, _b: string) => false): string[] {
  return [...duplicateGroups(files, areDifferent)]
    .filter((group) => group !== undefined)
    .map(({ keeper, reason, members }) => {
      return `${keeper.filename} (${reason}): ${members.map(({ file, kind }) => `${file.filename} ${kind}`).join(', ')}`;
    });
}

describe('pictures are duplicates', () => {
  test('after recompression, resizing, another format, blur and a crop of 2 %', async () => {
    const { width } = await sharp(BRIDGE).metadata();
    const resized = (factor: number) => sharp(BRIDGE).resize(Math.round(width * factor));
    const copies: Record<string, Sharp> = {
      'original.png': resized(2).png(),
      'q30.jpg': sharp(BRIDGE).jpeg({ quality: 30 }),
      'half.webp': resized(0.5).webp(),
      'eighth.jpg': resized(1 / 8).jpeg(),
      'blurred.jpg': sharp(BRIDGE).blur(2).jpeg(),
      'cropped.jpg': sharp(await cropped(BRIDGE, 0.02)),
    };
    const files = [await fileOf('grass.jpg', GRASS), await fileOf('street.jpg', STREET)];
    for (const [name, image] of Object.entries(copies)) files.push(await fileOf(name, image));
    const [group = '', ...others] = groupsOf(files);
    expect(others).toEqual([]);
    expect(group).toMatch(/^original\.png \(pixels\): /);
    for (const name of Object.keys(copies).slice(1)) expect(group).toContain(`${name} alike`);
  });

  test('of equal bytes, and mirrored ones are told apart', async () => {
    const copies = [await fileOf('a.jpg', STREET), await fileOf('b.jpg', STREET)];
    const mirrored = await fileOf('mirror.jpg', sharp(STREET).flop().jpeg({ quality: 60 }));
    expect(groupsOf([mirrored, ...copies])).toEqual(['a.jpg (age): b.jpg exact, mirror.jpg mirrored']);
  });
});

describe('pictures are no duplicates', () => {
  test('if each is of another single colour, of the same brightness too; equal pixels are', async () => {
    const plain = (background: string, width = 512) =>
      sharp({ create: { width, height: 512, channels: 3, background } });
    const colours = ['#ffffff', '#dd3333', '#33aa33', '#3333dd', '#777777'];
    const files = await Promise.all(colours.map((colour) => fileOf(`${colour}.png`, plain(colour).png())));
    expect(groupsOf(files)).toEqual([]);
    const copy = await fileOf('copy.webp', plain('#dd3333').webp({ lossless: true }), { sizeBytes: 1 });
    expect(groupsOf([...files, copy])).toEqual(['#dd3333.png (bytes): copy.webp alike']);
  });

  test('if they are different photos, or the same in other colours', async () => {
    const pictures: Record<string, Sharp | Buffer> = {
      'bridge.jpg': BRIDGE,
      'grey.jpg': sharp(BRIDGE).greyscale().jpeg(),
      'night.jpg': sharp(BRIDGE).modulate({ brightness: 0.6 }).jpeg(),
      'grass.jpg': GRASS,
      'street.jpg': STREET,
    };
    const files = await Promise.all(Object.entries(pictures).map(([name, picture]) => fileOf(name, picture)));
    expect(groupsOf(files)).toEqual([]);
  });

  test('if a person has said so; equal bytes are in any case', async () => {
    const files = [
      await fileOf('a.jpg', sharp(STREET).jpeg({ quality: 90 })),
      await fileOf('b.jpg', STREET, { sizeBytes: 2 }),
      await fileOf('c.jpg', STREET, { sizeBytes: 1 }),
    ];
    expect(groupsOf(files)).toEqual(['a.jpg (bytes): b.jpg alike, c.jpg alike']);
    expect(groupsOf(files, () => true)).toEqual(['b.jpg (bytes): c.jpg exact']);
  });
});

test('the keeper has the most pixels, then bytes, then a caption, then the longest past; clips are compared by bytes', () => {
  const clip = { sha256: 'aa', hash: null, pixels: 100, sizeBytes: 10, hasCaption: false, storedAt: 5 };
  const files = (changes: Partial<ComparedFile>) => [
    { ...clip, filename: 'a.mp4' },
    { ...clip, filename: 'b.mp4', ...changes },
    { ...clip, filename: 'other.mp4', sha256: 'bb' },
  ];
  expect(groupsOf(files({ pixels: 101, hasCaption: true }))).toEqual(['b.mp4 (pixels): a.mp4 exact']);
  expect(groupsOf(files({ sizeBytes: 11, storedAt: 9 }))).toEqual(['b.mp4 (bytes): a.mp4 exact']);
  expect(groupsOf(files({ hasCaption: true, storedAt: 9 }))).toEqual(['b.mp4 (caption): a.mp4 exact']);
  expect(groupsOf(files({ storedAt: 4 }))).toEqual(['b.mp4 (age): a.mp4 exact']);
});

test('the placeholder has the colours and the transparency of the picture in at most 25 bytes', async () => {
  const background = { r: 255, g: 0, b: 0, alpha: 0 };
  const image = sharp({ create: { width: 200, height: 100, channels: 4, background } });
  const square = { create: { width: 100, height: 100, channels: 4, background: '#00ff00' } } as const;
  const path = writeUpload(
    await image
      .composite([{ input: square, left: 0, top: 0 }])
      .png()
      .toBuffer(),
  );
  const hash = Buffer.from((await makeThumbnail({ path, maxPixels: 320 })).thumbhash, 'base64');
  expect(hash.length).toBeLessThanOrEqual(25);
  expect(thumbHashToAverageRGBA(hash)).toMatchObject({ r: 0, g: expect.closeTo(1, 1), a: expect.closeTo(0.5, 1) });
});
