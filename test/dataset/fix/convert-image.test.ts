import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp, type TiffOptions } from 'sharp';
import { describe, expect, test } from 'vitest';
import { convertImage, requireConvertible } from '../../../src/dataset/fix/convert-image.js';
import { examineContent } from '../../../src/dataset/fix/examine-content.js';
import * as media from '../../fixtures/media.js';
import { FOLDER } from '../../harness/inspecting.js';

const [WIDTH, HEIGHT] = [7, 5];

/** Red, green and blue of each pixel; each pixel is different. */
const PIXELS = Buffer.from(
  Array.from({ length: WIDTH * HEIGHT }, (_, pixel) => [pixel * 7, 255 - pixel * 5, (pixel * 37) % 256]).flat(),
);

async function pictureIn(bytes: Buffer) {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels, pixels: data };
}

const written = (bytes: Buffer) => {
  const path = join(FOLDER, 'source');
  writeFileSync(path, bytes);
  return path;
};

/** The PNG that an image becomes. */
async function converted(bytes: Buffer): Promise<Buffer> {
  const target = join(FOLDER, 'target.png');
  await convertImage({ path: written(bytes), target });
  return readFileSync(target);
}

/** Why an image can't be converted; `undefined` if it can. */
const whyNot = (bytes: Buffer) =>
  examineContent(written(bytes), requireConvertible).then(
    () => undefined,
    (error: Error) => {
      if (!['NotFixable', 'StructureError', 'InspectionError'].includes(error.name)) throw error;
      return error.message;
    },
  );

function expectClose(actual: Buffer, expected: Buffer, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const worst = actual.reduce((most, value, at) => Math.max(most, Math.abs(value - (expected[at] ?? 0))), 0);
  expect(worst).toBeLessThanOrEqual(tolerance);
}

/** A bitmap of these pixels: `pixelOf` gives the bytes of one, from its red, green and blue. */
function bitmap(options: {
  bits: number;
  row: (pixels: readonly (readonly [number, number, number])[]) => Buffer;
  isTopDown?: boolean;
  palette?: Buffer;
  masks?: readonly number[];
}): Buffer {
  const { bits, row, isTopDown = false, palette = Buffer.alloc(0), masks = [] } = options;
  const rows = Array.from({ length: HEIGHT }, (_, y) => {
    const bytes = row(Array.from({ length: WIDTH }, (__, x) => pixelAt(x, y)));
    return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  });
  const maskBytes = Buffer.alloc(masks.length * 4);
  for (const [index, mask] of masks.entries()) maskBytes.writeUInt32LE(mask, index * 4);
  // Masks for alpha are part of a longer header.
  const headerBytes = 40 + (masks.length === 4 ? 16 : 0);
  const header = Buffer.alloc(14 + 40);
  header.write('BM', 'latin1');
  header.writeUInt32LE(54 + maskBytes.length + palette.length, 10);
  header.writeUInt32LE(headerBytes, 14);
  header.writeInt32LE(WIDTH, 18);
  header.writeInt32LE(isTopDown ? -HEIGHT : HEIGHT, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(bits, 28);
  header.writeUInt32LE(masks.length === 0 ? 0 : masks.length === 4 ? 6 : 3, 30);
  header.writeUInt32LE(palette.length / 4, 46);
  return Buffer.concat([header, maskBytes, palette, ...(isTopDown ? rows : rows.reverse())]);
}

const pixelAt = (x: number, y: number) => {
  const at = (y * WIDTH + x) * 3;
  return [PIXELS[at] ?? 0, PIXELS[at + 1] ?? 0, PIXELS[at + 2] ?? 0] as const;
};

const bgr = (pixels: readonly (readonly [number, number, number])[]) =>
  Buffer.from(pixels.flatMap(([red, green, blue]) => [blue, green, red]));

const bgra = (pixels: readonly (readonly [number, number, number])[]) =>
  Buffer.from(pixels.flatMap(([red, green, blue]) => [blue, green, red, 128]));

/** A TIFF of these pixels. */
const tiff = (image: Sharp, options: TiffOptions = {}) => image.tiff({ compression: 'none', ...options }).toBuffer();
const source = () => sharp(PIXELS, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });

describe('a bitmap becomes a PNG with the same pixels', () => {
  const BLUE_TO_RED = [0x00ff0000, 0x0000ff00, 0x000000ff];

  test('of 24 bits, and of 32 with masks, alpha or unused bits', async () => {
    for (const options of [
      { bits: 24, row: bgr },
      { bits: 24, row: bgr, isTopDown: true },
      { bits: 32, row: bgra },
      { bits: 32, row: bgra, masks: BLUE_TO_RED },
    ]) {
      const picture = await pictureIn(await converted(bitmap(options)));
      expect(picture).toEqual({ width: WIDTH, height: HEIGHT, channels: 3, pixels: PIXELS });
    }
    const withAlpha = bitmap({ bits: 32, row: bgra, masks: [...BLUE_TO_RED, 0xff000000] });
    const { channels, pixels } = await pictureIn(await converted(withAlpha));
    expect([channels, pixels[3]]).toEqual([4, 128]);
    expect(Buffer.from(pixels.filter((_, at) => at % 4 < 3))).toEqual(PIXELS);
  });

  test.each([8, 4, 1])('%i bits with a palette', async (bits) => {
    const colours = Math.min(1 << bits, WIDTH * HEIGHT);
    const palette = Buffer.concat(
      Array.from({ length: colours }, (_, index) =>
        Buffer.from([...PIXELS.subarray(index * 3, index * 3 + 3)].reverse().concat(0)),
      ),
    );
    let pixel = 0;
    const indexes: number[] = [];
    const row = (pixels: readonly unknown[]) => {
      const bytes = Buffer.alloc(Math.ceil((pixels.length * bits) / 8));
      for (const x of pixels.keys()) {
        const index = pixel++ % colours;
        indexes.push(index);
        const at = Math.floor((x * bits) / 8);
        bytes[at] = (bytes[at] ?? 0) | (index << (8 - bits - ((x * bits) % 8)));
      }
      return bytes;
    };
    const { pixels } = await pictureIn(await converted(bitmap({ bits, row, palette })));
    expect(pixels).toEqual(Buffer.concat(indexes.map((index) => PIXELS.subarray(index * 3, index * 3 + 3))));
  });

  test('unless it is compressed, truncated, of an unusual kind, or has colours that are not in its palette', async () => {
    expect(await whyNot(media.bmp({ runs: true }))).toContain('is compressed');
    expect(await whyNot(bitmap({ bits: 16, row: (row) => Buffer.alloc(row.length * 2) }))).toContain(
      'has 16 bits per pixel',
    );
    const [blue, green, red] = BLUE_TO_RED;
    expect(await whyNot(bitmap({ bits: 32, row: bgra, masks: [red!, green!, blue!] }))).toContain('in an order');
    await expect(converted(bitmap({ bits: 24, row: bgr }).subarray(0, -1))).rejects.toThrow('is truncated');
    const beyond = bitmap({ bits: 8, row: () => Buffer.alloc(WIDTH, 3), palette: Buffer.alloc(8) });
    await expect(converted(beyond)).rejects.toThrow('not in its palette');
  });
});

describe('a TIFF becomes a PNG of 8 bits', () => {
  test('with the same pixels, upright in each orientation', async () => {
    const upright = await pictureIn(await converted(await tiff(source())));
    expect(upright).toEqual({ width: WIDTH, height: HEIGHT, channels: 3, pixels: PIXELS });
    for (let orientation = 2; orientation <= 8; orientation++) {
      const turned = await tiff(source().withMetadata({ orientation }));
      const { width, height, pixels } = await pictureIn(await converted(turned));
      expect([width, height]).toEqual(orientation < 5 ? [WIDTH, HEIGHT] : [HEIGHT, WIDTH]);
      // Where the pixel that is stored first is shown (TIFF 6.0, Orientation).
      const x = [2, 3, 6, 7].includes(orientation) ? width - 1 : 0;
      const y = [3, 4, 7, 8].includes(orientation) ? height - 1 : 0;
      const at = (y * width + x) * 3;
      expect([...pixels.subarray(at, at + 3)]).toEqual([...PIXELS.subarray(0, 3)]);
    }
  });

  test.each(['without a profile', 'with a profile'])('from 16 bits, %s', async (profile) => {
    const deep = source().toColourspace('rgb16');
    const png = await converted(await tiff(profile === 'with a profile' ? deep.withIccProfile('srgb') : deep));
    expect(await sharp(png).metadata()).toMatchObject({ depth: 'uchar', hasProfile: false });
    expectClose((await pictureIn(png)).pixels, PIXELS, profile === 'with a profile' ? 5 : 1);
  });

  test('unless its colours or its pages are not certain, or it is damaged', async () => {
    const png = await media.png();
    expect(await whyNot(await sharp(png).toColourspace('cmyk').tiff().toBuffer())).toContain(
      'CMYK without a colour profile',
    );
    expect(await whyNot(await tiff(sharp([png, png], { join: { animated: true } })))).toContain('2 pages');
    expect(await whyNot((await media.tiff()).subarray(0, 2000))).toContain('is damaged');
  });
});

describe('an AVIF or GIF becomes a PNG', () => {
  test.each([
    ['AVIF', () => media.avif()],
    ['AVIF with alpha', () => media.avif({ alpha: true })],
    [
      'AVIF of 10 bits',
      async () =>
        sharp(await media.png())
          .avif({ bitdepth: 10, quality: 90 })
          .toBuffer(),
    ],
    ['GIF', () => media.gif()],
    ['GIF with alpha', () => media.gif({ alpha: true })],
  ])('with the pixels that are decoded: %s', async (_, make) => {
    const bytes = await make();
    const png = await converted(bytes);
    expect(await sharp(png).metadata()).toMatchObject({ format: 'png', depth: 'uchar' });
    const decoded = await sharp(bytes).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
    const picture = await pictureIn(png);
    expect([picture.width, picture.height, picture.channels]).toEqual([96, 96, decoded.info.channels]);
    expectClose(picture.pixels, decoded.data, 1);
  });

  test('unless it is animated, damaged, of a wide range of colours, or too large', async () => {
    expect(await whyNot(await media.animated('gif'))).toContain('is animated');
    expect(await whyNot(readFileSync(new URL('../../fixtures/images/sequence.avif', import.meta.url)))).toContain(
      'is animated',
    );
    expect(await whyNot((await media.gif()).subarray(0, 3000))).toContain('is damaged');
    const wide = await sharp(await media.png())
      .withIccProfile('p3')
      .avif()
      .toBuffer();
    expect(await whyNot(wide)).toBeUndefined();
    // BT.2020 with the transfer function PQ, instead of the profile (ITU-T H.273).
    const hdr = Buffer.from(wide);
    Buffer.from('nclx\0\x09\0\x10\0\x09\x80', 'latin1').copy(hdr, hdr.toString('latin1').search(/rICC|prof/));
    expect(await whyNot(hdr)).toContain('wider range of colours');
  });
});
