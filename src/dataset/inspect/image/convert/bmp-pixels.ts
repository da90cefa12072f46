import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';

const FILE_HEADER_BYTES = 14;
const OLD_HEADER_BYTES = 12;
const RGB = 0;
const BIT_FIELDS = [3, 6];
const DEPTHS = [1, 4, 8, 16, 24, 32];
/** Red, green, blue and alpha in pixels of 16 and 32 bits that declare no masks. */
const DEFAULT_MASKS: Record<number, readonly number[]> = {
  16: [0x7c00, 0x03e0, 0x001f, 0],
  32: [0x00ff0000, 0x0000ff00, 0x000000ff, 0],
};

interface BitmapLayout {
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  readonly bits: number;
  readonly pixelsAt: number;
  readonly rowBytes: number;
  /** The colours of up to 8 bits, as red, green, blue. */
  readonly palette: readonly (readonly number[])[];
  readonly masks: readonly number[];
}

export interface RawPixels {
  readonly width: number;
  readonly height: number;
  /** 4 with alpha. */
  readonly channels: 3 | 4;
  readonly pixels: Buffer;
}

/** Why this bitmap is not decoded, as the rest of a sentence; `undefined` if it is. @throws StructureError */
export function whyNoBmpPixels(file: FileBytes): string | undefined {
  const { bits, compression } = headerOf(file);
  if (!DEPTHS.includes(bits)) return `has ${bits} bits per pixel, which is not supported`;
  if (compression !== RGB && !BIT_FIELDS.includes(compression)) return 'is compressed, which is not supported';
  return undefined;
}

/** Decodes an uncompressed Windows or OS/2 bitmap. @throws StructureError if it is truncated or damaged */
export function readBmpPixels(file: FileBytes): RawPixels {
  const layout = layoutOf(file);
  const { width, height, bits, rowBytes } = layout;
  const channels = layout.masks[3] ? 4 : 3;
  const pixels = Buffer.alloc(width * height * channels);
  const writePixel = bits <= 8 ? indexedWriter(layout) : bits === 24 ? writeBgr : maskedWriter(layout, channels);
  for (let row = 0; row < height; row++) {
    const stored = file.at(layout.pixelsAt + row * rowBytes, rowBytes);
    const line = layout.isTopDown ? row : height - 1 - row;
    for (let x = 0; x < width; x++) writePixel(stored, x, pixels, (line * width + x) * channels);
  }
  return { width, height, channels, pixels };
}

function headerOf(file: FileBytes) {
  const headerBytes = file.at(FILE_HEADER_BYTES, 4).readUInt32LE(0);
  const isOld = headerBytes === OLD_HEADER_BYTES;
  const header = Buffer.from(file.at(0, FILE_HEADER_BYTES + headerBytes));
  const bits = header.readUInt16LE(isOld ? 24 : 28);
  return { header, headerBytes, isOld, bits, compression: isOld ? RGB : header.readUInt32LE(30) };
}

function layoutOf(file: FileBytes): BitmapLayout {
  const { header, headerBytes, isOld, bits, compression } = headerOf(file);
  const signedHeight = isOld ? header.readUInt16LE(20) : header.readInt32LE(22);
  const width = isOld ? header.readUInt16LE(18) : header.readInt32LE(18);
  const pixelsAt = header.readUInt32LE(10);
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  const height = Math.abs(signedHeight);
  file.requireSize(pixelsAt + rowBytes * height);
  const declared = isOld || bits > 8 ? 0 : header.readUInt32LE(46);
  const colours = bits > 8 ? 0 : Math.min(declared || 1 << bits, 1 << bits);
  const entryBytes = isOld ? 3 : 4;
  const table = Buffer.from(file.at(FILE_HEADER_BYTES + headerBytes, colours * entryBytes));
  const palette = Array.from({ length: colours }, (_, index) => {
    const [blue = 0, green = 0, red = 0] = table.subarray(index * entryBytes);
    return [red, green, blue];
  });
  const masks = BIT_FIELDS.includes(compression) ? declaredMasks(file, headerBytes) : (DEFAULT_MASKS[bits] ?? []);
  return { width, height, isTopDown: signedHeight < 0, bits, pixelsAt, rowBytes, palette, masks };
}

/** The masks follow a header of 40 bytes, and are part of a longer one; only longer ones have a mask for alpha. */
function declaredMasks(file: FileBytes, headerBytes: number): number[] {
  const count = headerBytes >= 56 ? 4 : 3;
  const bytes = file.at(FILE_HEADER_BYTES + 40, count * 4);
  return Array.from({ length: 4 }, (_, index) => (index < count ? bytes.readUInt32LE(index * 4) : 0));
}

type WritePixel = (row: Buffer, x: number, target: Buffer, at: number) => void;

const writeBgr: WritePixel = (row, x, target, at) => {
  target[at] = row[x * 3 + 2] ?? 0;
  target[at + 1] = row[x * 3 + 1] ?? 0;
  target[at + 2] = row[x * 3] ?? 0;
};

function indexedWriter({ bits, palette }: BitmapLayout): WritePixel {
  const perByte = 8 / bits;
  return (row, x, target, at) => {
    const byte = row[Math.floor(x / perByte)] ?? 0;
    const index = (byte >> (8 - bits * ((x % perByte) + 1))) & ((1 << bits) - 1);
    const colour = palette[index];
    if (colour === undefined) throw new StructureError('is damaged: a pixel has a colour that is not in its palette');
    target.set(colour, at);
  };
}

function maskedWriter({ bits, masks }: BitmapLayout, channels: 3 | 4): WritePixel {
  const parts = masks.slice(0, channels).map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { mask, shift, max: mask >>> shift };
  });
  return (row, x, target, at) => {
    const value = bits === 16 ? row.readUInt16LE(x * 2) : row.readUInt32LE(x * 4);
    for (const [channel, { mask, shift, max }] of parts.entries()) {
      target[at + channel] = max === 0 ? 0 : Math.round((((value & mask) >>> shift) * 255) / max);
    }
  };
}
