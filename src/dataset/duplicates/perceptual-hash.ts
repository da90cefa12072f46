import { createHash } from 'node:crypto';
import { rgbaToThumbHash } from 'thumbhash';
import { PDQ_SIDE, pdqOf } from './pdq.js';
export interface PerceptualHash {
  /** PDQ of the picture, and of its mirror image. */
  readonly pdq: Uint8Array;
  readonly mirrored: Uint8Array;
  /** 0 to 100. */
  readonly quality: number;
  /** The mean L*, a* and b* of 8 × 8 fields, row by row. */
  readonly colours: Int8Array;
  /** Equal for pictures whose thumbnails have the same pixels. */
  readonly pixels: string;
}

/** 8-bit sRGB with 3 channels, or with alpha. */
export interface SmallPicture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** What a picture looks like, as the catalog stores it. */
export interface Appearance {
  /** See `unpackHash`. */
  readonly hash: string;
  /** A placeholder for the picture of at most 25 bytes; Base64. */
  readonly thumbhash: string;
}

export const COLOUR_FIELDS = 8;

/** ThumbHash keeps at most seven waves a side. */
const PLACEHOLDER_PIXELS = 32;

/** @param picture the thumbnail before its compression */
export function appearanceOf(picture: SmallPicture): Appearance {
  const { width, height, channels, data } = picture;
  const fields = fieldsOf(picture);
  const pdq = pdqOf(brightnessOf(fields));
  const pixels = createHash('sha256').update(`${width} ${height} ${channels} `).update(data).digest();
  const parts = [pdq.hash, pdq.mirrored, coloursOf(fields), [pdq.quality], pixels.subarray(0, 12)];
  const hash = Buffer.concat(parts.map((part) => Buffer.from(part))).toString('base64');
  return { hash, thumbhash: Buffer.from(placeholderOf(fields, picture)).toString('base64') };
}

export function unpackHash(packed: string): PerceptualHash {
  const bytes = new Uint8Array(Buffer.from(packed, 'base64'));
  const [pdq, mirrored, colours] = [bytes.slice(0, 32), bytes.slice(32, 64), new Int8Array(bytes.slice(64, 256))];
  return { pdq, mirrored, colours, quality: bytes[256] ?? 0, pixels: Buffer.from(bytes.slice(257)).toString('base64') };
}

/** Red, green, blue and alpha of each field from 0 to 255, row by row, the colours multiplied by alpha. */
interface Fields {
  readonly columns: number;
  readonly rows: number;
  readonly rgba: Float64Array;
}

/** Of a picture, 64 × 64. */
function fieldsOf({ width, height, channels, data }: SmallPicture): Fields {
  return meansOf({ columns: width, rows: height }, PDQ_SIDE, PDQ_SIDE, (rgba, to, first, end) => {
    for (let from = first * channels; from < end * channels; from += channels) {
      const opacity = channels === 4 ? data[from + 3]! / 255 : 1;
      for (let value = 0; value < 3; value++) rgba[to + value]! += data[from + value]! * opacity;
      rgba[to + 3]! += opacity * 255;
    }
  });
}

function reduced(fields: Fields, columns: number, rows: number): Fields {
  return meansOf(fields, columns, rows, (rgba, to, first, end) => {
    for (let from = first * 4; from < end * 4; from++) rgba[to + (from & 3)]! += fields.rgba[from]!;
  });
}

/** The means of equal parts. Of fewer fields than that, some are in several parts. @param add adds fields of a row to sums */
function meansOf(
  source: Pick<Fields, 'columns' | 'rows'>,
  columns: number,
  rows: number,
  add: (rgba: Float64Array, to: number, first: number, end: number) => void,
): Fields {
  const rgba = new Float64Array(columns * rows * 4);
  for (let row = 0; row < rows; row++) {
    const [top, bottom] = partOf(source.rows, row, rows);
    for (let column = 0; column < columns; column++) {
      const [left, right] = partOf(source.columns, column, columns);
      const to = (row * columns + column) * 4;
      for (let y = top; y < bottom; y++) add(rgba, to, y * source.columns + left, y * source.columns + right);
      for (let value = 0; value < 4; value++) rgba[to + value]! /= (right - left) * (bottom - top);
    }
  }
  return { columns, rows, rgba };
}

/** Where one of so many equal parts begins, and where it ends. */
function partOf(length: number, index: number, parts: number): [start: number, end: number] {
  const start = Math.floor((index * length) / parts);
  return [start, Math.max(start + 1, Math.floor(((index + 1) * length) / parts))];
}

/**
 * Means of equal parts resist resizing better than the filter of the reference: pictures of 256 and 512 pixels then differ in up to
 * 8 bits instead of 90. What is transparent is white, as on most pages.
 */
function brightnessOf({ rgba }: Fields): Float64Array {
  return Float64Array.from({ length: rgba.length / 4 }, (_, field) => {
    const [red, green, blue, alpha] = rgba.subarray(field * 4) as unknown as [number, number, number, number];
    return 0.299 * red + 0.587 * green + 0.114 * blue + 255 - alpha;
  });
}

/** L* has 101 values, and a* and b* stay between -128 and 127. */
function coloursOf(fields: Fields): number[] {
  const { rgba } = reduced(fields, COLOUR_FIELDS, COLOUR_FIELDS);
  return Array.from({ length: rgba.length / 4 }, (_, field) => rgba.subarray(field * 4, field * 4 + 4)).flatMap(
    ([red, green, blue, alpha]) => labOf([red!, green!, blue!].map((value) => value + 255 - alpha!)),
  );
}

function placeholderOf(fields: Fields, { width, height }: SmallPicture): Uint8Array {
  const scale = Math.min(1, PLACEHOLDER_PIXELS / Math.max(width, height));
  const lengthOf = (side: number) => Math.max(1, Math.round(side * scale));
  const [columns, rows] = [lengthOf(width), lengthOf(height)];
  const { rgba } = reduced(fields, columns, rows);
  const straight = rgba.map((value, at) => (at % 4 === 3 ? value : (value * 255) / (rgba[at | 3] || 255)));
  return rgbaToThumbHash(columns, rows, straight.map(Math.round));
}

/** CIE 1976 L*a*b* of sRGB (IEC 61966-2-1) under D65. */
function labOf(rgb: readonly number[]): number[] {
  const linear = rgb.map((value) => (value <= 10.31 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  const responseTo = (weights: readonly number[]) => {
    const part = weights.reduce((sum, weight, channel) => sum + weight * linear[channel]!, 0);
    return part > 216 / 24389 ? Math.cbrt(part) : (part * 24389) / 27 / 116 + 16 / 116;
  };
  // The rows of the matrix to XYZ, each divided by its sum, which is the white point.
  const [x, y, z] = [
    [0.4339, 0.3762, 0.1899],
    [0.2126, 0.7152, 0.0722],
    [0.0177, 0.1095, 0.8728],
  ].map(responseTo);
  return [116 * y! - 16, 500 * (x! - y!), 200 * (y! - z!)].map(Math.round);
}
