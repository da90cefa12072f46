import { constants, crc32, inflateSync } from 'node:zlib';
import type { FileBytes } from '../byte-source.js';
import { checkDimensions, damaged, InspectionError } from '../inspection-error.js';
import type { ImageHeader } from '../inspection.js';
import { brokenExif, MAX_EXIF_BYTES, orientationOf } from './exif.js';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const HEADER_BYTES = 13;
/** By colour type: grey, RGB, palette (decoded to RGBA), grey and alpha, RGBA. */
const DECODED_SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 4, 4: 2, 6: 4 };
/** Held by libvips while it scales an image of any height, and while it decodes row after row. */
const LINES_HELD_SCALED = 1500;
const LINES_HELD = 512;

/** What Pillow unpacks; tRNS depends on the colour type: grey, RGB. */
const LEAST_BYTES: Record<string, number> = { gAMA: 4, sRGB: 1, pHYs: 9, acTL: 8, fcTL: 26, fdAT: 4 };
const LEAST_TRANSPARENCY_BYTES: Record<number, number> = { 0: 2, 2: 6 };
const PALETTE = 3;

/** `MAX_TEXT_CHUNK` and `MAX_TEXT_MEMORY` of Pillow. */
const MAX_UNPACKED_BYTES = 1 << 20;
const MAX_TEXT_BYTES = 64 << 20;
/** Longer packed text within the limit would be empty blocks, which no encoder writes. */
const MAX_PACKED_BYTES = 8 << 20;

interface Chunk {
  readonly type: string;
  /** Offset in the file. */
  readonly payload: number;
  readonly length: number;
  /** Offset of the next chunk. */
  readonly end: number;
}

/**
 * Checks the CRC of every chunk up to IEND, and limits that Pillow has and libpng has not. The pixels are for a decoder to prove.
 *
 * @throws StructureError, InspectionError
 */
export function readPng(file: FileBytes): ImageHeader {
  if (!file.at(0, 8).equals(SIGNATURE)) throw damaged('its PNG signature is invalid');
  const first = chunkAt(file, 8);
  if (first.type !== 'IHDR' || first.length !== HEADER_BYTES) throw damaged('it does not begin with a PNG header');
  const bytes = Buffer.from(file.at(first.payload, HEADER_BYTES));
  const [width, height] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  const [depth = 0, colour = 0, , , interlace = 0] = bytes.subarray(8);
  checkDimensions(width, height);
  const samples = DECODED_SAMPLES[colour];
  if (samples === undefined) throw damaged('its PNG header is invalid');
  const metadata = new PngMetadata(colour);
  let hasPixels = false;
  for (let offset = 8, type = ''; type !== 'IEND'; ) {
    const chunk = chunkAt(file, offset);
    ({ type } = chunk);
    // Real files lack a part of the last checksum.
    if (type === 'IEND' && chunk.length === 0 && file.size < chunk.end) break;
    checkChecksum(file, chunk);
    hasPixels ||= type === 'IDAT';
    metadata.add(file, chunk);
    offset = chunk.end;
  }
  if (!hasPixels) throw damaged('it has no pixels');
  // libvips decodes low depths to a byte per sample, and holds a whole interlaced image.
  const lineBytes = width * samples * (depth === 16 ? 2 : 1);
  const heldLines = (lines: number) => (interlace === 0 ? lines : height);
  return {
    width,
    height,
    orientation: metadata.orientation(),
    animated: metadata.frames > 1,
    isDeepGrey: depth === 16 && colour === 0,
    decoderBytes: lineBytes * heldLines(LINES_HELD_SCALED),
    rowsBytes: lineBytes * heldLines(Math.min(height, LINES_HELD)),
  };
}

function chunkAt(file: FileBytes, start: number): Chunk {
  const header = file.at(start, 8);
  const length = header.readUInt32BE(0);
  const payload = start + 8;
  return { type: header.toString('latin1', 4, 8), payload, length, end: payload + length + 4 };
}

function checkChecksum(file: FileBytes, { type, payload, length }: Chunk): void {
  // Read first, to find truncation before gigabytes of a chunk.
  const expected = file.at(payload + length, 4).readUInt32BE(0);
  let crc = crc32(Buffer.from(type, 'latin1'));
  for (let offset = payload; offset < payload + length; ) {
    const part = file.upTo(offset, payload + length - offset);
    crc = crc32(part, crc);
    offset += part.length;
  }
  if (crc === expected) return;
  const name = /^[A-Za-z]{4}$/.test(type) ? ` in its ${type} chunk` : '';
  throw damaged(`the bytes${name} do not match their checksum`);
}

/** Chunks without pixels as Pillow reads them (11.1, `PngImagePlugin.py`); it raises on many where libpng warns. */
class PngMetadata {
  frames = 1;
  readonly #colour: number;
  /** By keyword. */
  readonly #texts = new Map<string, Buffer>();
  #textBytes = 0;
  #exif: Buffer | undefined;

  constructor(colour: number) {
    this.#colour = colour;
  }

  /** @throws StructureError, InspectionError where Pillow rejects the chunk */
  add(file: FileBytes, chunk: Chunk): void {
    const { type, length, payload } = chunk;
    if (!this.#isValidLength(chunk)) throw damaged(`its ${type} chunk has an invalid length`);
    const content = (maxBytes: number) => file.copy(payload, payload + Math.min(length, maxBytes));
    if (type === 'tEXt' || type === 'zTXt' || type === 'iTXt') {
      if (length > MAX_TEXT_BYTES) throw tooMuchText();
      this.#addText(type, content(length));
    } else if (type === 'iCCP') checkColourProfile(content(MAX_TEXT_BYTES));
    else if (type === 'eXIf') this.#exif = content(MAX_EXIF_BYTES);
    else if (type === 'acTL') this.frames = file.at(payload, 4).readUInt32BE(0);
  }

  /** @throws InspectionError where Pillow's `exif_transpose` raises */
  orientation(): number {
    const profile = this.#texts.get('Raw profile type exif');
    const exif = this.#exif ?? (profile && rawProfile(profile));
    return orientationOf(exif ?? Buffer.alloc(0), () => {
      const xmp = this.#texts.get('XML:com.adobe.xmp')?.toString() ?? '';
      return Number(/tiff:Orientation(?:="|>)([0-9])/.exec(xmp)?.[1] ?? 1);
    });
  }

  #isValidLength({ type, length }: Chunk): boolean {
    if (type === 'cHRM') return length % 4 === 0;
    if (type !== 'tRNS') return length >= (LEAST_BYTES[type] ?? 0);
    return this.#colour === PALETTE ? length <= 256 : length >= (LEAST_TRANSPARENCY_BYTES[this.#colour] ?? 0);
  }

  #addText(type: 'tEXt' | 'zTXt' | 'iTXt', payload: Buffer): void {
    const [name, rest = Buffer.alloc(0)] = splitAtZero(payload);
    const value = type === 'tEXt' ? rest : type === 'zTXt' ? compressedText(rest) : internationalText(rest);
    if (value === undefined || name.length === 0) return;
    this.#textBytes += value.length;
    if (this.#textBytes > MAX_TEXT_BYTES) throw tooMuchText();
    const keyword = name.toString('latin1');
    if (keyword === 'exif') this.#exif = value;
    else if (keyword === 'Raw profile type exif' || keyword === 'XML:com.adobe.xmp') this.#texts.set(keyword, value);
  }
}

/** Name, zero, compression method, profile. @throws InspectionError where Pillow rejects them */
function checkColourProfile(payload: Buffer): void {
  // Without an end, Pillow takes an empty name before the chunk.
  const methodAt = payload.indexOf(0) + 1;
  if (payload[methodAt] !== 0) throw unknownMethod('iCCP');
  unpacked('iCCP', payload.subarray(methodAt + 1));
}

/** Compression method, compressed text. */
function compressedText(bytes: Buffer): Buffer | undefined {
  if (bytes.length > 0 && bytes[0] !== 0) throw unknownMethod('zTXt');
  return unpacked('zTXt', bytes.subarray(1));
}

/** Compression flag, method, language, zero, translated keyword, zero, text. Pillow ignores invalid ones. */
function internationalText(bytes: Buffer): Buffer | undefined {
  const [flag, method] = bytes;
  const [, names = Buffer.alloc(0)] = splitAtZero(bytes.subarray(2));
  const [, text] = splitAtZero(names);
  if (text === undefined || flag === 0) return text;
  return method === 0 ? unpacked('iTXt', text) : undefined;
}

function splitAtZero(bytes: Buffer): [before: Buffer, after?: Buffer] {
  const zero = bytes.indexOf(0);
  return zero === -1 ? [bytes] : [bytes.subarray(0, zero), bytes.subarray(zero + 1)];
}

/** `undefined` for invalid data, which Pillow ignores; the end may be missing. @throws InspectionError if it is too large for Pillow */
function unpacked(type: string, packed: Buffer): Buffer | undefined {
  const tooLarge = () => rejected(`has data in its ${type} chunk that unpack to more than 1 MiB`);
  if (packed.length > MAX_PACKED_BYTES) throw tooLarge();
  try {
    return inflateSync(packed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge();
    return undefined;
  }
}

/** As ImageMagick writes EXIF: three lines, then hexadecimal digits. @throws InspectionError for others */
function rawProfile(text: Buffer): Buffer {
  const lines = text.toString('latin1').split('\n').slice(3).join('');
  const digits = lines.replace(/[ \t\r\v\f]+/g, '');
  const isValid = !/[^0-9a-fA-F]/.test(digits) && digits.length % 2 === 0;
  if (!isValid) throw brokenExif('its raw profile is not hexadecimal');
  return Buffer.from(digits, 'hex');
}

const tooMuchText = (): InspectionError => rejected('has more than 64 MiB of text');

function unknownMethod(type: string): InspectionError {
  const message = `has an ${type} chunk without a known compression method, so the trainer would leave the picture out`;
  return new InspectionError('IMAGE_CORRUPT', `${message}. Save the picture again and upload it again.`);
}

/** @param reason the rest of a sentence */
function rejected(reason: string): InspectionError {
  const message = `${reason}, so the trainer would leave the picture out`;
  const advice = 'Save the picture again without its metadata and upload it again.';
  return new InspectionError('IMAGE_CORRUPT', `${message}. ${advice}`);
}
