import sharp, { type Metadata } from 'sharp';
import { FileBytes } from '../inspect/byte-source.js';
import { detectContent } from '../inspect/detect-content.js';
import * as pixels from '../inspect/image/decode.js';
import { decodingError, STRICT_DECODING } from '../inspect/image/decode.js';
import { readImageHeader } from '../inspect/image/inspect-image.js';
import { checkDimensions, StructureError } from '../inspect/inspection-error.js';
import type { ImageFormat } from '../media.js';
import { ANIMATED } from './media-names.js';
import { NotFixable } from './not-fixable.js';

/** For the decoder and the upright picture; `limited-process.ts` allows a process a little more. */
const CONVERSION_BUDGET_BYTES = 600_000_000;

/** Close to sRGB, or "unspecified" (ITU-T H.273). */
const NEAR_SRGB = { primaries: [1, 2, 5, 6], transfers: [1, 2, 6, 13, 14, 15] };

/**
 * Makes an upright sRGB PNG of 8 bits without metadata, since the trainer reads 16-bit grey PNGs as white (Pillow, `convert('RGB')`).
 *
 * @throws NotFixable, StructureError, InspectionError, OutOfMemory, the system's errors
 */
export async function convertImage({ path, target }: { path: string; target: string }): Promise<void> {
  const file = FileBytes.open(path);
  try {
    const content = await detectContent(file);
    if (content.kind !== 'image') throw new StructureError(`is ${content.description} now`);
    const { format } = content;
    await requireConvertible(file, { path, format });
    const converting = format === 'bmp' ? bitmap(file) : await pixels.uprightInSrgb(path);
    await converting
      .png()
      .toFile(target)
      .catch((error) => {
        throw decodingError(error);
      });
  } finally {
    file.close();
  }
}

function bitmap(file: FileBytes) {
  const { pixels, width, height, channels } = readBmpPixels(file);
  return sharp(pixels, { raw: { width, height, channels } });
}

/** Numbers of ITU-T H.273 in an AVIF (`colr` of type `nclx`, ISO/IEC 14496-12, 12.1.5). */
function colourOf(file: FileBytes): { primaries: number; transfer: number } | undefined {
  const start = file.upTo(0, 1 << 16);
  const at = start.indexOf('colrnclx', 0, 'latin1');
  if (at === -1 || at + 12 > start.length) return undefined;
  return { primaries: start.readUInt16BE(at + 8), transfer: start.readUInt16BE(at + 10) };
}

/** @throws as `RequireConvertible` */
export async function requireConvertible(file: FileBytes, { path, format }: { path: string; format: ImageFormat }) {
  if (format === 'heic') {
    throw new NotFixable('is a HEIC image, for which trainyard has no decoder. Export it as JPEG');
  }
  const header = await readImageHeader(file, { path, format }, async () => pixels);
  if (typeof header === 'string') throw advised(`can't be converted: ${header}`);
  checkDimensions(header.width, header.height);
  if (header.animated) throw new NotFixable(ANIMATED);
  if (header.decoderBytes + header.width * header.height * 4 > CONVERSION_BUDGET_BYTES) {
    const reason = 'is too large: converting it would need too much memory. Scale it down, or save it as PNG';
    throw new NotFixable(reason);
  }
  const reason = format === 'bmp' ? whyNoBmpPixels(file) : await whyNoDecodedPixels(file, { path, format });
  if (reason !== undefined) throw advised(reason);
}

const advised = (reason: string) => new NotFixable(`${reason}. Save it as PNG yourself`);

async function whyNoDecodedPixels(file: FileBytes, { path, format }: { path: string; format: ImageFormat }) {
  const metadata = await sharp(path, STRICT_DECODING)
    .metadata()
    .catch((error) => {
      throw decodingError(error);
    });
  return whyNoCertainColours(metadata) ?? (format === 'avif' ? whyNotSrgb(file, metadata) : undefined);
}

function whyNoCertainColours({ pages = 1, depth, space, channels, hasProfile }: Metadata): string | undefined {
  if (pages > 1) return `has ${pages} pages, so it is not certain which one to keep`;
  if (depth !== 'uchar' && depth !== 'ushort') return `stores its colours as ${depth}, whose range is not certain`;
  if (space === 'cmyk' && !hasProfile) return 'is in CMYK without a colour profile, so its colours are not certain';
  const isKnown = ['srgb', 'rgb', 'rgb16', 'b-w', 'grey16', 'cmyk'].includes(space);
  if (!isKnown || channels > (space === 'cmyk' ? 5 : 4)) return 'has channels whose colours are not certain';
  return undefined;
}

function whyNotSrgb(file: FileBytes, { hasProfile }: Metadata): string | undefined {
  const colour = colourOf(file);
  if (colour === undefined) return undefined;
  // A profile says nothing of high dynamic range.
  const isNear = NEAR_SRGB.transfers.includes(colour.transfer);
  if (isNear && (hasProfile || NEAR_SRGB.primaries.includes(colour.primaries))) return undefined;
  return 'has a wider range of colours than sRGB, and how to reduce it is not certain';
}

const FILE_HEADER_BYTES = 14;
/** OS/2 1.x has shorter headers, which differ. */
const MIN_HEADER_BYTES = 40;
const RGB = 0;
const BIT_FIELDS = [3, 6];
const DEPTHS = [1, 4, 8, 24, 32];
/** Red, green, blue and alpha. */
const BYTE_MASKS = [0x00ff0000, 0x0000ff00, 0x000000ff, 0xff000000];

/** The rest of a sentence; `undefined` for a bitmap that is decoded. @throws StructureError */
function whyNoBmpPixels(file: FileBytes): string | undefined {
  const headerBytes = file.at(FILE_HEADER_BYTES, 4).readUInt32LE(0);
  if (headerBytes < MIN_HEADER_BYTES) return 'is a bitmap of OS/2, which is not supported';
  const { bits, compression, masks } = headerOf(file);
  if (compression !== RGB && !BIT_FIELDS.includes(compression)) return 'is compressed, which is not supported';
  if (!DEPTHS.includes(bits)) return `has ${bits} bits per pixel, which is not supported`;
  const isUsual = masks.every((mask, channel) => mask === BYTE_MASKS[channel] || (channel === 3 && mask === 0));
  return isUsual ? undefined : 'has its colours in an order that is not supported';
}

/** Needs a bitmap that `whyNoBmpPixels` accepts. @throws StructureError if it is truncated or damaged */
function readBmpPixels(file: FileBytes) {
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
