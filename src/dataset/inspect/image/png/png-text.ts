/*
 * Texts and profiles in a PNG, within the limits of Pillow (11.1, `PngImagePlugin.py`), which rejects files that exceed them.
 */
import { constants, inflateSync } from 'node:zlib';
import type { FileBytes } from '../../byte-source.js';
import { InspectionError } from '../../inspection-error.js';
import { type PngChunk, payloadPieces } from './png-chunks.js';

/** `MAX_TEXT_CHUNK` and `MAX_TEXT_MEMORY`. */
const MAX_UNPACKED_BYTES = 1 << 20;
const MAX_TEXT_CHARACTERS = 64 << 20;
/** A longer compressed text that stays within the limit consists of empty blocks, which no encoder writes. */
const MAX_PACKED_BYTES = 8 << 20;
/** Texts that decide the orientation of the picture are kept up to this length. */
const MAX_KEPT_BYTES = 32 << 20;

const ORIENTING_KEYWORDS = ['exif', 'Raw profile type exif', 'XML:com.adobe.xmp'] as const;
type OrientingKeyword = (typeof ORIENTING_KEYWORDS)[number];

/** Texts that decide the orientation, as the last chunk of each keyword gives them. */
export class PngTexts {
  readonly orienting = new Map<OrientingKeyword, { bytes: Buffer; chunkType: string }>();
  private characters = 0;

  /** Reads a tEXt, zTXt or iTXt chunk. @throws InspectionError if Pillow rejects it */
  add(file: FileBytes, chunk: PngChunk): void {
    const text = chunk.type === 'iTXt' ? internationalText(file, chunk) : plainText(file, chunk);
    if (text === undefined) return;
    this.characters += text.characters;
    if (this.characters > MAX_TEXT_CHARACTERS) throw tooLarge('more than 64 MiB of text');
    const keyword = ORIENTING_KEYWORDS.find((each) => each === text.keyword);
    if (keyword !== undefined) this.orienting.set(keyword, { bytes: text.value(), chunkType: chunk.type });
  }
}

/** Checks an iCCP chunk. @throws InspectionError if Pillow rejects it */
export function checkColourProfile(file: FileBytes, chunk: PngChunk): void {
  // Pillow takes a name without an end for an empty one that begins before the chunk.
  const nameEnd = indexOfZero(file, chunk, 0) ?? -1;
  const method = nameEnd + 1 < chunk.length ? file.at(chunk.payload + nameEnd + 1, 1)[0] : undefined;
  if (method !== 0) throw unknownMethod(chunk.type);
  unpacked(file, chunk, nameEnd + 2);
}

interface Text {
  readonly keyword: string;
  readonly characters: number;
  readonly value: () => Buffer;
}

/** tEXt: keyword, zero, text. zTXt: keyword, zero, compression method, compressed text. */
function plainText(file: FileBytes, chunk: PngChunk): Text | undefined {
  const keywordEnd = indexOfZero(file, chunk, 0) ?? chunk.length;
  const valueStart = Math.min(keywordEnd + 1, chunk.length);
  const keyword = keywordOf(file, chunk, keywordEnd);
  if (chunk.type === 'tEXt') {
    const characters = chunk.length - valueStart;
    return keyword === '' ? undefined : { keyword, characters, value: () => copied(file, chunk, valueStart) };
  }
  if (valueStart < chunk.length && file.at(chunk.payload + valueStart, 1)[0] !== 0) throw unknownMethod(chunk.type);
  const value = unpacked(file, chunk, Math.min(valueStart + 1, chunk.length)) ?? Buffer.alloc(0);
  return keyword === '' ? undefined : { keyword, characters: value.length, value: () => value };
}

/** iTXt: keyword, zero, compression flag, method, language, zero, translated keyword, zero, text. */
function internationalText(file: FileBytes, chunk: PngChunk): Text | undefined {
  const keywordEnd = indexOfZero(file, chunk, 0);
  if (keywordEnd === undefined || chunk.length - keywordEnd - 1 < 2) return undefined;
  const [flag, method] = file.at(chunk.payload + keywordEnd + 1, 2);
  const languageEnd = indexOfZero(file, chunk, keywordEnd + 3);
  const translationEnd = languageEnd === undefined ? undefined : indexOfZero(file, chunk, languageEnd + 1);
  if (languageEnd === undefined || translationEnd === undefined || (flag !== 0 && method !== 0)) return undefined;
  const keyword = keywordOf(file, chunk, keywordEnd);
  const start = translationEnd + 1;
  const value = flag === 0 ? undefined : unpacked(file, chunk, start);
  if (flag !== 0 && value === undefined) return undefined;
  const characters = codePointsIn(value === undefined ? payloadPieces(file, chunk, start) : [value]);
  const text = { keyword, characters, value: () => value ?? copied(file, chunk, start) };
  // Pillow ignores a text that is not UTF-8. Only for these does it matter.
  if (!ORIENTING_KEYWORDS.some((each) => each === keyword)) return text;
  const names = copied(file, chunk, keywordEnd + 3).subarray(0, translationEnd - keywordEnd - 3);
  return isUtf8(names) && isUtf8(text.value()) ? text : undefined;
}

/** Characters of UTF-8: every byte but those that continue one. */
function codePointsIn(pieces: Iterable<Buffer>): number {
  let count = 0;
  for (const piece of pieces) for (const byte of piece) if ((byte & 0xc0) !== 0x80) count++;
  return count;
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function keywordOf(file: FileBytes, chunk: PngChunk, length: number): string {
  return file.at(chunk.payload, Math.min(length, 80)).toString('latin1');
}

/** The offset in the payload of the first zero from `from` on. */
function indexOfZero(file: FileBytes, chunk: PngChunk, from: number): number | undefined {
  let offset = from;
  for (const piece of payloadPieces(file, chunk, from)) {
    const found = piece.indexOf(0);
    if (found !== -1) return offset + found;
    offset += piece.length;
  }
  return undefined;
}

function copied(file: FileBytes, chunk: PngChunk, from: number, maxBytes = MAX_KEPT_BYTES): Buffer {
  const start = chunk.payload + from;
  return Buffer.from(file.copy(start, start + Math.min(chunk.length - from, maxBytes)));
}

/**
 * Unpacks the compressed data from `from` on; `undefined` if it is invalid, which Pillow ignores. Data that ends early counts
 * as far as it goes.
 *
 * @throws InspectionError if it is larger than Pillow accepts
 */
function unpacked(file: FileBytes, chunk: PngChunk, from: number): Buffer | undefined {
  const packed = from < chunk.length ? copied(file, chunk, from, MAX_PACKED_BYTES) : Buffer.alloc(0);
  let bytes: Buffer;
  try {
    bytes = inflateSync(packed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (error) {
    if (!(error instanceof RangeError)) return undefined;
    throw tooLarge(`data in its ${chunk.type} chunk that unpack to more than 1 MiB`);
  }
  if (chunk.length - from > MAX_PACKED_BYTES)
    throw tooLarge(`data in its ${chunk.type} chunk that unpack to more than 1 MiB`);
  return bytes;
}

function tooLarge(what: string): InspectionError {
  return new InspectionError(
    'IMAGE_CORRUPT',
    `has ${what}, so the trainer would leave the picture out. Save the picture again without its metadata and upload it again.`,
  );
}

function unknownMethod(type: string): InspectionError {
  return new InspectionError(
    'IMAGE_CORRUPT',
    `has an ${type} chunk without a known compression method, so the trainer would leave the picture out. Save the picture again and upload it again.`,
  );
}
