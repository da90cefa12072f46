import { createHash } from 'node:crypto';
import { rgbaToThumbHash } from 'thumbhash';
import { PDQ_SIDE, pdqOf } from './pdq.js';

/** What pictures are compared by. */
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
  const pdq = pdqOf(brightnessOf(picture));
  const pixels = createHash('sha256').update(`${width} ${height} ${channels} `).update(data).digest();
  const parts = [pdq.hash, pdq.mirrored, coloursOf(picture), [pdq.quality], pixels.subarray(0, 12)];
  const hash = Buffer.concat(parts.map((part) => Buffer.from(part))).toString('base64');
  return { hash, thumbhash: Buffer.from(placeholderOf(picture)).toString('base64') };
}

export function unpackHash(packed: string): PerceptualHash {
  const bytes = new Uint8Array(Buffer.from(packed, 'base64'));
  const [pdq, mirrored, colours] = [bytes.slice(0, 32), bytes.slice(32, 64), new Int8Array(bytes.slice(64, 256))];
  return { pdq, mirrored, colours, quality: bytes[256] ?? 0, pixels: Buffer.from(bytes.slice(257)).toString('base64') };
}

/**
 * Means of equal parts resist resizing better than the filter of the reference: pictures of 256 and 512 pixels then differ in up to
 * 8 bits instead of 90. What is transparent is white, as on most pages.
 */
function brightnessOf(picture: SmallPicture): Float64Array {
  return Float64Array.from(fieldsOf(picture, PDQ_SIDE, PDQ_SIDE), ([red, green, blue, alpha]) => {
    return 0.299 * red + 0.587 * green + 0.114 * blue + 255 - alpha;
  });
}

/** L* has 101 values, and a* and b* stay between -128 and 127. */
function coloursOf(picture: SmallPicture): number[] {
  return fieldsOf(picture, COLOUR_FIELDS, COLOUR_FIELDS).flatMap(([red, green, blue, alpha]) =>
    labOf([red, green, blue].map((value) => value + 255 - alpha)),
  );
}

function placeholderOf(picture: SmallPicture): Uint8Array {
  const { width, height } = picture;
  const lengthOf = (side: number) => {
    return Math.max(1, Math.round(side * Math.min(1, PLACEHOLDER_PIXELS / Math.max(width, height))));
  };
  const [columns, rows] = [lengthOf(width), lengthOf(height)];
  const rgba = fieldsOf(picture, columns, rows).flatMap(([red, green, blue, alpha]) => {
    return [...[red, green, blue].map((value) => (value * 255) / (alpha || 255)), alpha].map(Math.round);
  });
  return rgbaToThumbHash(columns, rows, rgba);
}

/** Means from 0 to 255, the colours multiplied by alpha. */
type Field = [red: number, green: number, blue: number, alpha: number];

/** The means of equal parts of a picture, row by row. A picture with fewer pixels has some in several parts. */
function fieldsOf({ width, height, channels, data }: SmallPicture, columns: number, rows: number): Field[] {
  return Array.from({ length: rows * columns }, (_, field) => {
    const [row, column] = [Math.floor(field / columns), field % columns];
    const [left, top] = [Math.floor((column * width) / columns), Math.floor((row * height) / rows)];
    const right = Math.max(left + 1, Math.floor(((column + 1) * width) / columns));
    const bottom = Math.max(top + 1, Math.floor(((row + 1) * height) / rows));
    const sums: Field = [0, 0, 0, 0];
    for (let y = top; y < bottom; y++) {
      for (let at = (y * width + left) * channels; at < (y * width + right) * channels; at += channels) {
        const alpha = channels === 4 ? data[at + 3]! : 255;
        for (let channel = 0; channel < 3; channel++) sums[channel]! += (data[at + channel]! * alpha) / 255;
        sums[3] += alpha;
      }
    }
    return sums.map((sum) => sum / ((right - left) * (bottom - top))) as Field;
  });
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
