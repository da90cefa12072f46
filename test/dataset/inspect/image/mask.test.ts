import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { inspectWith, loadDecoder } from '../../../../src/dataset/inspect/inspect.js';
import { type MaskPng, maskPng } from '../../../fixtures/masks.js';
import { writeUpload } from '../../../harness/inspecting.js';

async function inspectMask(filename: string, bytes: Buffer, options: object = { loadDecoder }) {
  const path = writeUpload(bytes);
  return inspectWith({ path, filename }, { ...options, asMask: true });
}

/** `CODE: message` of each warning, or the error. */
async function findingsOf(filename: string, bytes: Buffer, options?: object): Promise<string[]> {
  const found = await inspectMask(filename, bytes, options);
  return (found.ok ? found.warnings : [found.problem]).map(({ code, message }) => `${code}: ${message}`);
}

const codesOf = async (filename: string, bytes: Buffer, options?: object) =>
  (await findingsOf(filename, bytes, options)).map((finding) => finding.split(':')[0]);

/** Several lines for each filter and several columns for each pass, with unused bits at the ends of lines. */
const SIZE = { width: 21, height: 19 };
const isSpot = (x: number, y: number) => x === 20 && y === 18;
const GREYS_AND_RED = [0, 0, 0, 120, 120, 120, 255, 255, 255, 200, 0, 0];

/** A mask that is black but for one pixel in its corner. */
const spotted = (png: Omit<MaskPng, 'width' | 'height' | 'pixel'>, black: readonly number[], spot: readonly number[]) =>
  maskPng({ ...SIZE, ...png, pixel: (x, y) => (isSpot(x, y) ? spot : black) });

type PngType = Pick<MaskPng, 'colour' | 'depth' | 'palette' | 'transparency'>;
const GREYS: [string, PngType, number[], number[]][] = [
  ['1-bit grey', { colour: 0, depth: 1 }, [0], [1]],
  ['16-bit grey', { colour: 0, depth: 16 }, [0], [1]],
  ['grey with alpha', { colour: 4, depth: 8 }, [0, 255], [1, 255]],
  ['16-bit RGB', { colour: 2, depth: 16 }, [255, 255, 255], [256, 256, 256]],
  ['16-bit RGBA', { colour: 6, depth: 16 }, [255, 0, 255, 65_535], [256, 256, 256, 65_535]],
  ['1-bit palette', { colour: 3, depth: 1, palette: GREYS_AND_RED.slice(0, 6) }, [0], [1]],
  ['8-bit palette', { colour: 3, depth: 8, palette: GREYS_AND_RED }, [0], [1]],
];

describe('a PNG mask is black if each pixel is 0 as Pillow 11.1 converts it to L', () => {
  test.each(GREYS)('%s', async (_, type, black, spot) => {
    for (const interlaced of [false, true]) {
      expect(await codesOf('a.png', spotted({ ...type, interlaced }, black, black))).toEqual(['BLACK_MASK']);
      expect(await codesOf('a.png', spotted({ ...type, interlaced }, black, spot))).toEqual([]);
    }
  });

  test.each([
    [[0, 0, 4], true],
    [[0, 0, 5], false],
    [[1, 0, 0], true],
    [[0, 1, 0], false],
    [[1, 0, 1], true],
  ])('a pixel of %s: %s', async (pixel, isBlack) => {
    const codes = await codesOf('a.png', maskPng({ ...SIZE, colour: 2, depth: 8, pixel: () => pixel }));
    expect(codes).toEqual(isBlack ? ['BLACK_MASK'] : []);
  });
});

describe('a PNG mask that is more than shades of grey', () => {
  test.each<[string, PngType, number[], number[], string]>([
    ['RGB', { colour: 2, depth: 8 }, [90, 90, 90], [90, 90, 107], 'has colours'],
    ['RGBA', { colour: 6, depth: 8 }, [0, 0, 0, 255], [255, 0, 0, 255], 'has colours'],
    ['a colour of the palette', { colour: 3, depth: 2, palette: GREYS_AND_RED }, [2], [3], 'has colours'],
    ['alpha', { colour: 6, depth: 8 }, [255, 255, 255, 255], [255, 255, 255, 254], 'is transparent in places'],
    ['a 16-bit grey', { colour: 0, depth: 16 }, [0], [256], 'has greys of 16 bits, which trainers read as white'],
  ])('%s', async (_, type, plain, odd, reason) => {
    for (const interlaced of [false, true]) {
      const [finding = '', ...others] = await findingsOf('a.png', spotted({ ...type, interlaced }, plain, odd));
      expect(finding).toContain(`MASK_NOT_GRAYSCALE: a.png ${reason}`);
      expect(others).toEqual([]);
    }
  });

  test('a difference of 16 is grey, and a pixel in the middle of a line is seen', async () => {
    expect(await codesOf('a.png', spotted({ colour: 2, depth: 8 }, [90, 90, 90], [90, 90, 106]))).toEqual([]);
    for (const depth of [1, 8] as const) {
      const bytes = maskPng({ ...SIZE, colour: 0, depth, pixel: (x, y) => [x === 3 && y === 4 ? 1 : 0] });
      expect(await codesOf('a.png', bytes)).toEqual([]);
    }
  });
});

describe('JPEG and WebP masks, and large ones', () => {
  /** A picture of one colour, with pixels of another one: a quarter of it, or `spot` alone. */
  function picture(background: number[], square: number[], options: { side?: number; spot?: number } = {}): Sharp {
    const { side = 64, spot } = options;
    const channels = background.length as 3 | 4;
    const pixels = Buffer.alloc(side * side * channels, Buffer.from(background));
    for (let at = 0; at < side * side; at++) {
      const isInSquare = at % side >= side / 2 && at >= (side * side) / 2;
      if (spot === undefined ? isInSquare : at === spot) pixels.set(square, at * channels);
    }
    return sharp(pixels, { raw: { width: side, height: side, channels } });
  }
  const BLACK = [0, 0, 0];
  const WHITE = [255, 255, 255];
  const ENCODERS: Record<string, (image: Sharp) => Promise<Buffer>> = {
    'grey.jpg': (image) => image.toColourspace('b-w').jpeg().toBuffer(),
    'colour.jpg': (image) => image.jpeg().toBuffer(),
    'progressive.jpeg': (image) => image.jpeg({ progressive: true }).toBuffer(),
    'lossy.webp': (image) => image.webp().toBuffer(),
    'lossless.webp': (image) => image.webp({ lossless: true }).toBuffer(),
  };

  test.each(Object.entries(ENCODERS))('%s', async (name, encode) => {
    expect(await codesOf(name, await encode(picture(BLACK, BLACK)))).toEqual(['BLACK_MASK']);
    expect(await codesOf(name, await encode(picture(BLACK, WHITE)))).toEqual([]);
    expect(await codesOf(name, await encode(picture(BLACK, [4, 4, 4])))).toEqual([]);
    const isGrey = name.startsWith('grey');
    expect(await codesOf(name, await encode(picture(BLACK, [255, 0, 0])))).toEqual(
      isGrey ? [] : ['MASK_NOT_GRAYSCALE'],
    );
  });

  test('the transparency of a WebP is not seen by trainers', async () => {
    const lossless = (background: number[], square: number[]) =>
      picture(background, square).webp({ lossless: true, exact: true }).toBuffer();
    const [black, white] = [
      [...BLACK, 255],
      [...WHITE, 255],
    ];
    expect(await codesOf('a.webp', await lossless(black!, [0, 0, 0, 0]))).toEqual(['BLACK_MASK']);
    expect(await codesOf('a.webp', await lossless(white!, [255, 255, 255, 0]))).toEqual(['MASK_NOT_GRAYSCALE']);
    expect(await codesOf('a.webp', await lossless([255, 255, 255, 0], [255, 255, 255, 0]))).toEqual([
      'MASK_NOT_GRAYSCALE',
    ]);
    expect(await codesOf('a.webp', await lossless(black!, white!))).toEqual([]);
  });

  test('a large picture is scaled down, and a single white pixel is seen in it', async () => {
    const options = { side: 3000, spot: 4_345_678 };
    for (const [square, isBlack] of [
      [BLACK, true],
      [WHITE, false],
    ] as const) {
      const bytes = await picture(BLACK, square, options).jpeg({ quality: 95 }).toBuffer();
      expect((await codesOf('a.jpg', bytes)).includes('BLACK_MASK')).toBe(isBlack);
    }
    // Neither greys at an edge nor the loss of colours under transparency come from it.
    const edges = picture(BLACK, WHITE, { side: 2101 }).toColourspace('grey16');
    expect(await codesOf('a.png', await edges.png().toBuffer())).toEqual([]);
    const unseen = picture([...WHITE, 0], [...WHITE, 0], { side: 2101, spot: 0 });
    expect(await codesOf('a.png', await unseen.png().toBuffer())).toEqual(['MASK_NOT_GRAYSCALE']);
  });

  test('a picture that no decoder can decode within its memory', async () => {
    const image = sharp({ create: { width: 4400, height: 4400, channels: 3, background: '#000' } });
    expect(await findingsOf('a.jpg', await image.jpeg({ progressive: true }).toBuffer())).toEqual([
      expect.stringMatching(/^NOT_FULLY_CHECKED: a.jpg was not read as a mask: decoding its 19 million pixels/),
    ]);
  });

  test('a command without a decoder says what it leaves to the service', async () => {
    const image = picture(BLACK, BLACK);
    expect(await findingsOf('a.jpg', await ENCODERS['colour.jpg']!(image), {})).toEqual([
      'NOT_FULLY_CHECKED: a.jpg is read as a mask by the service, when it receives the file.',
    ]);
    expect(await findingsOf('a.png', spotted({ colour: 0, depth: 8 }, [0], [0]), {})).toEqual([
      'NOT_FULLY_CHECKED: a.png: its structure is complete, but its pixels are decoded by the service, when it receives the file.',
    ]);
  });
});
