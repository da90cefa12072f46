/*
 * Texts and profiles in a PNG, within the limits of Pillow (11.1, `PngImagePlugin.py`), which rejects files that exceed them.
 */
import { isUtf8 } from 'node:buffer';
import { constants, inflateSync } from 'node:zlib';
import { InspectionError } from '../../inspection-error.js';

/** `MAX_TEXT_CHUNK` and `MAX_TEXT_MEMORY`. */
const MAX_UNPACKED_BYTES = 1 << 20;
export const MAX_TEXT_CHARACTERS = 64 << 20;
/** A longer compressed text that stays within the limit consists of empty blocks, which no encoder writes. */
const MAX_PACKED_BYTES = 8 << 20;

const ORIENTING_KEYWORDS = ['exif', 'Raw profile type exif', 'XML:com.adobe.xmp'] as const;
type OrientingKeyword = (typeof ORIENTING_KEYWORDS)[number];

interface Text {
  readonly keyword: string;
  readonly value: Buffer;
  readonly characters: number;
}

/** Counts the texts of a picture, and keeps those that decide its orientation, as the last chunk of each keyword gives them. */
export class PngTexts {
  readonly orienting = new Map<OrientingKeyword, { bytes: Buffer; chunkType: string }>();
  private characters = 0;

  /** Reads a tEXt, zTXt or iTXt chunk. @throws InspectionError if Pillow rejects it */
  add(type: string, payload: Buffer): void {
    const text = type === 'iTXt' ? internationalText(payload) : plainText(type, payload);
    if (text === undefined) return;
    this.characters += text.characters;
    if (this.characters > MAX_TEXT_CHARACTERS) throw tooMuchText();
    const keyword = ORIENTING_KEYWORDS.find((each) => each === text.keyword);
    if (keyword !== undefined) this.orienting.set(keyword, { bytes: text.value, chunkType: type });
  }
}

/** Checks the payload of an iCCP chunk: name, zero, method, profile. @throws InspectionError if Pillow rejects it */
export function checkColourProfile(payload: Buffer): void {
  // Pillow takes a name without an end for an empty one that begins before the chunk.
  const methodAt = payload.indexOf(0) + 1;
  if (payload[methodAt] !== 0) throw unknownMethod('iCCP');
  unpacked('iCCP', payload.subarray(methodAt + 1));
}

/** tEXt: keyword, zero, text. zTXt: keyword, zero, compression method, compressed text. */
function plainText(type: string, payload: Buffer): Text | undefined {
  const [name, rest = Buffer.alloc(0)] = splitAtZero(payload);
  if (type === 'zTXt' && rest.length > 0 && rest[0] !== 0) throw unknownMethod(type);
  const value = type === 'tEXt' ? rest : (unpacked(type, rest.subarray(1)) ?? Buffer.alloc(0));
  const keyword = name.toString('latin1');
  return keyword === '' ? undefined : { keyword, value, characters: value.length };
}

/** iTXt: keyword, zero, compression flag, method, language, zero, translated keyword, zero, text. Pillow ignores an invalid one. */
function internationalText(payload: Buffer): Text | undefined {
  const [keyword, rest = Buffer.alloc(0)] = splitAtZero(payload);
  const [flag, method] = rest;
  const [language, names] = splitAtZero(rest.subarray(2));
  const [translation, stored] = splitAtZero(names ?? Buffer.alloc(0));
  if (stored === undefined || (flag !== 0 && method !== 0)) return undefined;
  const value = flag === 0 ? stored : unpacked('iTXt', stored);
  if (value === undefined || ![language, translation, value].every((part) => isUtf8(part))) return undefined;
  return { keyword: keyword.toString('latin1'), value, characters: codePointsIn(value) };
}

/** What precedes the first zero, and what follows it. */
function splitAtZero(bytes: Buffer): [before: Buffer, after?: Buffer] {
  const zero = bytes.indexOf(0);
  return zero === -1 ? [bytes] : [bytes.subarray(0, zero), bytes.subarray(zero + 1)];
}

/** Characters of UTF-8: every byte but those that continue one. */
function codePointsIn(bytes: Buffer): number {
  let count = 0;
  for (const byte of bytes) if ((byte & 0xc0) !== 0x80) count++;
  return count;
}

/**
 * Unpacks compressed data; `undefined` if it is invalid, which Pillow ignores. Data that ends early counts as far as it goes.
 *
 * @throws InspectionError if it is larger than Pillow accepts
 */
function unpacked(type: string, packed: Buffer): Buffer | undefined {
  const tooLarge = () => rejected(`has data in its ${type} chunk that unpack to more than 1 MiB`);
  let bytes: Buffer;
  try {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_UNPACKED_BYTES };
    bytes = inflateSync(packed.subarray(0, MAX_PACKED_BYTES), options);
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge();
    return undefined;
  }
  if (packed.length > MAX_PACKED_BYTES) throw tooLarge();
  return bytes;
}

export const tooMuchText = (): InspectionError => rejected('has more than 64 MiB of text');

function unknownMethod(type: string): InspectionError {
  return new InspectionError(
    'IMAGE_CORRUPT',
    `has an ${type} chunk without a known compression method, so the trainer would leave the picture out. Save the picture again and upload it again.`,
  );
}

/** @param what the rest of a sentence that begins with the file's name */
function rejected(what: string): InspectionError {
  return new InspectionError(
    'IMAGE_CORRUPT',
    `${what}, so the trainer would leave the picture out. Save the picture again without its metadata and upload it again.`,
  );
}
