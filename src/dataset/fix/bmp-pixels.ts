import type { FileBytes } from '../inspect/byte-source.js';
import { StructureError } from '../inspect/inspection-error.js';

const FILE_HEADER_BYTES = 14;
/** OS/2 1.x has shorter headers, which differ. */
const MIN_HEADER_BYTES = 40;
const RGB = 0;
const BIT_FIELDS = [3, 6];
const DEPTHS = [1, 4, 8, 24, 32];
/** Red, green, blue and alpha. */
const BYTE_MASKS = [0x00ff0000, 0x0000ff00, 0x000000ff, 0xff000000];

/** The rest of a sentence; `undefined` for a bitmap that is decoded. @throws StructureError */
export function whyNoBmpPixels(file: FileBytes): string | undefined {
  const headerBytes = file.at(FILE_HEADER_BYTES, 4).readUInt32LE(0);
  if (headerBytes < MIN_HEADER_BYTES) return 'is a bitmap of OS/2, which is not supported';
  const { bits, compression, masks } = headerOf(file);
  if (compression !== RGB && !BIT_FIELDS.includes(compression)) return 'is compressed, which is not supported';
  if (!DEPTHS.includes(bits)) return `has ${bits} bits per pixel, which is not supported`;
  const isUsual = masks.every((mask, channel) => mask === BYTE_MASKS[channel] || (channel === 3 && mask === 0));
  return isUsual ? undefined : 'has its colours in an order that is not supported';
}

/** Needs a bitmap that `whyNoBmpPixels` accepts. @throws StructureError if it is truncated or damaged */
export function readBmpPixels(file: FileBytes) {
  const { width, height, isTopDown, bits, pixelsAt, masks, palette } = headerOf(file);
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  file.requireSize(pixelsAt + rowBytes * height);
  const channels: 3 | 4 = masks[3] ? 4 : 3;
  const pixels = Buffer.alloc(width * height * channels);
  for (let row = 0; row < height; row++) {
    const stored = file.at(pixelsAt + row * rowBytes, rowBytes);
    let at = (isTopDown ? row : height - 1 - row) * width * channels;
    for (let x = 0; x < width; x++) {
      const colour = bits <= 8 ? palette : stored;
      const from = bits <= 8 ? indexAt(stored, x, bits) * 4 : (x * bits) / 8;
      if (from + 3 > colour.length) {
        throw new StructureError('is damaged: a pixel has a colour that is not in its palette');
      }
      pixels[at++] = colour[from + 2]!;
      pixels[at++] = colour[from + 1]!;
      pixels[at++] = colour[from]!;
      if (channels === 4) pixels[at++] = colour[from + 3]!;
    }
  }
  return { width, height, channels, pixels };
}

function headerOf(file: FileBytes) {
  const headerBytes = file.at(FILE_HEADER_BYTES, 4).readUInt32LE(0);
  const header = Buffer.from(file.at(0, FILE_HEADER_BYTES + headerBytes));
  const signedHeight = header.readInt32LE(22);
  const bits = header.readUInt16LE(28);
  const compression = header.readUInt32LE(30);
  const colours = bits > 8 ? 0 : Math.min(header.readUInt32LE(46) || 1 << bits, 1 << bits);
  return {
    width: header.readInt32LE(18),
    height: Math.abs(signedHeight),
    isTopDown: signedHeight < 0,
    bits,
    compression,
    pixelsAt: header.readUInt32LE(10),
    /** Blue, green, red and an unused byte. */
    palette: Buffer.from(file.at(FILE_HEADER_BYTES + headerBytes, colours * 4)),
    masks: BIT_FIELDS.includes(compression) ? masksOf(file, headerBytes) : [],
  };
}

/** After a header of 40 bytes, or part of a longer one; only longer ones have a mask for alpha. */
function masksOf(file: FileBytes, headerBytes: number): number[] {
  const count = headerBytes >= 56 ? 4 : 3;
  const bytes = file.at(FILE_HEADER_BYTES + 40, count * 4);
  return Array.from({ length: count }, (_, index) => bytes.readUInt32LE(index * 4));
}

function indexAt(row: Buffer, x: number, bits: number): number {
  const perByte = 8 / bits;
  const byte = row[Math.floor(x / perByte)] ?? 0;
  return (byte >> (8 - bits * ((x % perByte) + 1))) & ((1 << bits) - 1);
}
