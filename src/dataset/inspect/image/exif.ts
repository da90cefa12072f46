/*
 * Whether Pillow can write EXIF data again (11.1, `Image.Exif.tobytes`), as `exif_transpose` does for each image that it turns. If
 * it raises, the trainer drops the image.
 */

/* The types that Pillow writes tags with (11.1, `TiffTags.py`); others get a type that fits the value. */

/*
 * TIFF directories as Pillow reads them (11.1, `TiffImagePlugin.ImageFileDirectory_v2`): fields of unknown types are skipped, and
 * a value outside the data ends the reading without an error.
 */

import { InspectionError, StructureError } from '../inspection-error.js';

const ORIENTATION = 0x0112;
const EXIF_IDENTIFIER = Buffer.from('Exif\0\0', 'latin1');
/** Headers that Pillow accepts (11.1, `TiffImagePlugin.PREFIXES`), without BigTIFF's. */
const HEADERS = ['MM\0*', 'II*\0', 'MM*\0', 'II\0*', 'MM\0+'];
const BIG_TIFF = 'II+\0';

/** No photo's fields refer to bytes farther away. */
export const MAX_EXIF_BYTES = 1 << 24;

/**
 * The trainer applies the orientation by Pillow's `exif_transpose`, and drops the image if that raises (ai-toolkit
 * `toolkit/data_transfer_object/data_loader.py`). @throws InspectionError where it raises, as for an invalid header
 */
export function orientationOf(exif: Buffer): number {
  const block = exifBlockOf(exif);
  const orientation = block === undefined ? undefined : storedOrientation(block);
  if (block !== undefined && isTurned(orientation)) requireRewritable(block);
  return validOrientation(orientation ?? 1);
}

/** `undefined` without the tag; a value that is not a number counts as 1. */
export function storedOrientation(block: ExifBlock): number | undefined {
  const field = readExifDirectory(block, block.firstDirectory).get(ORIENTATION);
  if (field === undefined) return undefined;
  const values = decodeExifValues(block, field);
  if (values.kind === 'integers' || values.kind === 'floats') return values.items[0] ?? 1;
  if (values.kind !== 'rationals') return 1;
  const [numerator = 1, denominator = 1] = values.items[0] ?? [];
  return numerator / denominator;
}

export const isTurned = (orientation: number | undefined): boolean =>
  orientation !== undefined && validOrientation(orientation) !== 1;

/** Pillow writes the EXIF data of a turned image again. @throws InspectionError where that raises */
export function requireRewritable(block: ExifBlock): void {
  if (!isRewritable(block)) throw brokenExif('a field of it has a value of the wrong type');
}

/** `undefined` for empty data. @throws InspectionError for an invalid header */
export function exifBlockOf(exif: Buffer): ExifBlock | undefined {
  let bytes = exif;
  while (bytes.length > 0 && bytes.subarray(0, 6).equals(EXIF_IDENTIFIER)) bytes = bytes.subarray(6);
  if (bytes.length === 0) return undefined;
  const header = bytes.toString('latin1', 0, 4);
  if (header === BIG_TIFF) throw brokenExif('it is in the BigTIFF format');
  if (!HEADERS.includes(header)) throw brokenExif('its header is invalid');
  if (bytes.length < 8) throw brokenExif('it ends within its header');
  const isLittleEndian = header.startsWith('II');
  return { bytes, isLittleEndian, firstDirectory: isLittleEndian ? bytes.readUInt32LE(4) : bytes.readUInt32BE(4) };
}

/** For metadata that keeps the trainer from opening an intact picture. */
export function brokenExif(reason: string): InspectionError {
  return new InspectionError('IMAGE_CORRUPT', `has damaged EXIF data: ${reason}. ${SAVE_WITHOUT_EXIF}`);
}

const SAVE_WITHOUT_EXIF =
  'The trainer would leave the picture out. Remove the EXIF data, for example by saving the picture again, and upload it again.';

export function validOrientation(value: number): number {
  return Number.isInteger(value) && value >= 1 && value <= 8 ? value : 1;
}

/** As shown: orientations 5 to 8 swap the sides (EXIF 2.3, tag 274). */
export function oriented(image: { width: number; height: number; orientation: number }) {
  const { width, height } = image;
  return image.orientation >= 5 ? { width: height, height: width } : { width, height };
}

const STRIP_OFFSETS = 0x0111;
const HEADER_BYTES = 8;
const MAX_LONG = 0xffff_ffff;
/** Beyond it, Python's `seek` raises. */
const MAX_SEEK = 2 ** 63 - 1;

/** `undefined` for a value that can't be written. */
type WrittenBytes = number | undefined;

/** Values by tag, or another directory. */
type Written = ReadonlyMap<
  number,
  ExifValues | { readonly kind: 'directory'; readonly group: ExifGroup; readonly tags: Written }
>;

/** Whether all directories can be written again without the orientation. */
function isRewritable(block: ExifBlock): boolean {
  const first = writtenDirectory(block, { group: 'first', offset: block.firstDirectory });
  return first !== undefined && writtenBytesOf(first, { group: 'first', offset: HEADER_BYTES }) !== undefined;
}

/** With the directories that its pointers lead to; `undefined` if one can't be followed. */
function writtenDirectory(
  block: ExifBlock,
  { group, offset }: { group: ExifGroup; offset: number },
): Written | undefined {
  const tags = new Map<number, ExifValues | { kind: 'directory'; group: ExifGroup; tags: Written }>();
  for (const [tag, field] of readExifDirectory(block, offset)) {
    if (group === 'first' && tag === ORIENTATION) continue;
    const values = decodeExifValues(block, field);
    if (!isPointer(group, tag)) {
      tags.set(tag, values);
      continue;
    }
    const target = values.kind === 'integers' ? (values.items[0] ?? 0) : undefined;
    if (target !== undefined && (target < 0 || target > MAX_SEEK)) return undefined;
    const inner = target === undefined ? new Map() : writtenDirectory(block, { group: tag, offset: target });
    if (inner === undefined) return undefined;
    tags.set(tag, { kind: 'directory', group: tag, tags: inner });
  }
  return tags;
}

function isPointer(
  group: ExifGroup,
  tag: number,
): tag is typeof EXIF_POINTER | typeof GPS_POINTER | typeof INTEROPERABILITY_POINTER {
  if (group === 'first') return tag === EXIF_POINTER || tag === GPS_POINTER;
  return group === EXIF_POINTER && tag === INTEROPERABILITY_POINTER;
}

/** For a directory at `offset`, with its values and inner directories. */
function writtenBytesOf(tags: Written, { group, offset }: { group: ExifGroup; offset: number }): WrittenBytes {
  let end = offset + 2 + tags.size * 12 + 4;
  let strips: { type: number; values: ExifValues; bytes: number } | undefined;
  for (const [tag, value] of [...tags].sort(([a], [b]) => a - b)) {
    let bytes: WrittenBytes;
    if (value.kind === 'directory') bytes = writtenBytesOf(value.tags, { group: value.group, offset: end });
    else {
      const declared = exifTagType(group, tag);
      const type = declared?.type ?? fittingType(value);
      const values = declared?.isSingle ? firstOf(value) : value;
      bytes = valueBytes(values, type);
      if (tag === STRIP_OFFSETS && bytes !== undefined) strips = { type, values, bytes };
    }
    if (bytes === undefined) return undefined;
    if (bytes > 4) end += bytes + (bytes & 1);
  }
  if (strips !== undefined && !stripsFit(strips, end)) return undefined;
  return end - offset;
}

/** Pillow adds the directory's end to each strip offset, in the field's type. */
function stripsFit({ type, values, bytes }: { type: number; values: ExifValues; bytes: number }, end: number): boolean {
  if (bytes <= 4) return type !== 4 || (values.kind === 'integers' && (values.items[0] ?? 0) + end <= MAX_LONG);
  if (values.kind === 'rationals') return values.items.every(([, denominator]) => denominator !== 0);
  if (values.kind !== 'integers') return values.kind === 'floats';
  const highest = { 3: 0xffff, 4: MAX_LONG, 8: 0x7fff }[type] ?? 0x7fff_ffff;
  return values.items.every((value) => value + end <= highest);
}

function firstOf(values: ExifValues): ExifValues {
  if (values.kind === 'rationals') return { kind: 'rationals', items: values.items.slice(0, 1) };
  if (values.kind === 'integers' || values.kind === 'floats')
    return { kind: values.kind, items: values.items.slice(0, 1) };
  return values;
}

/** For tags that Pillow does not know. */
function fittingType(values: ExifValues): number {
  switch (values.kind) {
    case 'text':
      return 2;
    case 'bytes':
      return 1;
    case 'floats':
      return 12;
    case 'rationals':
      return values.items.some(([n, d]) => d !== 0 && n / d < 0) ? 10 : 5;
    case 'integers':
      if (values.items.every((value) => value >= 0 && value < 2 ** 16)) return 3;
      if (values.items.every((value) => value > -(2 ** 15) && value < 2 ** 15)) return 8;
      return values.items.every((value) => value >= 0) ? 4 : 9;
  }
}

function valueBytes(values: ExifValues, type: number): WrittenBytes {
  switch (type) {
    case 1:
      return opaqueBytes(values, { isByte: true });
    case 2:
      return textBytes(values);
    case 3:
      return integerBytes(values, { bytes: 2, lowest: 0, highest: 0xffff });
    case 4:
      return integerBytes(values, { bytes: 4, lowest: 0, highest: MAX_LONG });
    case 5:
      return rationalBytes(values, { signed: false });
    case 7:
      return opaqueBytes(values, { isByte: false });
    case 8:
      return integerBytes(values, { bytes: 2, lowest: -0x8000, highest: 0x7fff });
    case 9:
      return integerBytes(values, { bytes: 4, lowest: -0x8000_0000, highest: 0x7fff_ffff });
    case 10:
      return rationalBytes(values, { signed: true });
    default:
      return doubleBytes(values);
  }
}

function integerBytes(values: ExifValues, range: { bytes: number; lowest: number; highest: number }): WrittenBytes {
  if (values.kind !== 'integers') return undefined;
  const fits = values.items.every((value) => value >= range.lowest && value <= range.highest);
  return fits ? values.items.length * range.bytes : undefined;
}

/** Takes one value; a number becomes one byte or its digits. */
function opaqueBytes(values: ExifValues, { isByte }: { isByte: boolean }): WrittenBytes {
  if (values.kind === 'bytes') return values.bytes.length;
  if (values.kind === 'text') return isByte ? undefined : values.bytes.length;
  if (values.kind === 'floats' || values.items.length !== 1) return undefined;
  const number = values.kind === 'integers' ? (values.items[0] ?? 0) : Math.trunc(quotient(values.items[0]));
  if (Number.isNaN(number)) return undefined;
  if (isByte) return number >= 0 && number <= 255 ? 1 : undefined;
  return BigInt(number).toString().length;
}

/** One value and a final zero. */
function textBytes(values: ExifValues): WrittenBytes {
  if (values.kind === 'text' || values.kind === 'bytes') return values.bytes.length + 1;
  if (values.kind !== 'integers' || values.items.length !== 1) return undefined;
  return BigInt(values.items[0] ?? 0).toString().length + 1;
}

function doubleBytes(values: ExifValues): WrittenBytes {
  if (values.kind === 'text' || values.kind === 'bytes') return undefined;
  if (values.kind === 'rationals' && values.items.some(([, d]) => d === 0)) return undefined;
  return values.items.length * 8;
}

function rationalBytes(values: ExifValues, { signed }: { signed: boolean }): WrittenBytes {
  if (values.kind === 'text' || values.kind === 'bytes') return undefined;
  const fits =
    values.kind === 'rationals'
      ? values.items.every(([n, d]) => (signed ? d !== 0 || n <= 0x7fff_ffff : d === 0 ? n >= 0 : n / d >= 0))
      : values.items.every((value) => (signed ? Number.isFinite(value) : isUnsignedFraction(value)));
  return fits ? values.items.length * 8 : undefined;
}

/** Pillow writes the nearest unsigned fraction, which is zero or infinity for some negative values. */
function isUnsignedFraction(value: number): boolean {
  if (Number.isNaN(value)) return false;
  const fraction = Math.abs(value) > 1 ? 1 / value : value;
  return fraction >= -0.5 / MAX_LONG;
}

function quotient(rational: readonly [number, number] | undefined): number {
  const [numerator, denominator] = rational ?? [0, 0];
  return denominator === 0 ? Number.NaN : numerator / denominator;
}

/** Directories that Pillow writes, by the tag of their pointer. */
const EXIF_POINTER = 34665;
const GPS_POINTER = 34853;
const INTEROPERABILITY_POINTER = 40965;
type ExifGroup = 'first' | typeof EXIF_POINTER | typeof GPS_POINTER | typeof INTEROPERABILITY_POINTER;

interface ExifTagType {
  readonly type: number;
  readonly isSingle: boolean;
}

const [BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED_RATIONAL, DOUBLE] = [1, 2, 3, 4, 5, 7, 10, 12];

type Row = readonly [type: number, isSingle: boolean, tags: readonly number[]];

const FIRST: readonly Row[] = [
  [LONG, true, [254, 256, 257, 278, 288, 289, 292, 293, 322, 323, 513, 514, EXIF_POINTER, GPS_POINTER]],
  [LONG, true, [INTEROPERABILITY_POINTER, 45057, 45060, 45313, 45569, 45572]],
  [LONG, false, [273, 279, 324, 325, 330, 519, 520, 521, 50838]],
  [SHORT, true, [255, 259, 262, 263, 264, 265, 266, 274, 277, 284, 290, 296, 317, 332, 334, 512, 515, 531, 50741]],
  [SHORT, false, [258, 280, 281, 291, 297, 301, 320, 321, 336, 338, 339, 342, 517, 518, 530]],
  [ASCII, true, [269, 270, 271, 272, 285, 305, 306, 315, 316, 333, 337, 33432]],
  [RATIONAL, true, [282, 283, 286, 287, 45570, 45571, 45574, 50780]],
  [RATIONAL, false, [318, 319, 529, 532]],
  [SIGNED_RATIONAL, true, [45573, 45575, 45576, 45577, 45578, 45579, 45580, 45581]],
  [DOUBLE, false, [340, 341]],
  [UNDEFINED, true, [347, 33723, 34675, 36864, 37724, 40960, 41730, 45056, 45058, 50839]],
  [UNDEFINED, false, [45059]],
  [BYTE, true, [700, 34377]],
];
const EXIF: readonly Row[] = [
  [UNDEFINED, true, [36864, 40960, 41730]],
  [LONG, true, [INTEROPERABILITY_POINTER]],
];
const GPS: readonly Row[] = [
  [BYTE, true, [0, 5]],
  [ASCII, false, [1, 3, 8, 9, 10, 12, 14, 16, 18, 19, 21, 23, 25, 29]],
  [RATIONAL, false, [2, 4, 7, 20, 22]],
  [RATIONAL, true, [6, 11, 13, 15, 17, 24, 26]],
  [UNDEFINED, false, [27, 28]],
  [SHORT, true, [30]],
];
const INTEROPERABILITY: readonly Row[] = [
  [ASCII, true, [1]],
  [UNDEFINED, true, [2]],
];

function tableOf(rows: readonly Row[]): ReadonlyMap<number, ExifTagType> {
  return new Map(rows.flatMap(([type, isSingle, tags]) => tags.map((tag) => [tag, { type, isSingle }] as const)));
}

const TAG_TYPES: Record<ExifGroup, ReadonlyMap<number, ExifTagType>> = {
  first: tableOf(FIRST),
  [EXIF_POINTER]: tableOf(EXIF),
  [GPS_POINTER]: tableOf(GPS),
  [INTEROPERABILITY_POINTER]: tableOf(INTEROPERABILITY),
};

function exifTagType(group: ExifGroup, tag: number): ExifTagType | undefined {
  return TAG_TYPES[group].get(tag);
}

const TEXT = 2;
/** BYTE and UNDEFINED, which Pillow keeps as they are. */
const OPAQUE = [1, 7];

type NumberKind = 'integers' | 'floats' | 'rationals';
type ReadNumber = (view: DataView, at: number, isLittle: boolean) => number;

const long: ReadNumber = (view, at, isLittle) => view.getUint32(at, isLittle);
const signedLong: ReadNumber = (view, at, isLittle) => view.getInt32(at, isLittle);

/** Those that Pillow knows. IFD (13) is read as LONG, LONG8 (16) as 64 bits; a fraction has two numbers. */
const NUMBERS: Record<number, readonly [bytes: number, kind: NumberKind, read: ReadNumber]> = {
  3: [2, 'integers', (view, at, isLittle) => view.getUint16(at, isLittle)],
  4: [4, 'integers', long],
  5: [4, 'rationals', long],
  6: [1, 'integers', (view, at) => view.getInt8(at)],
  8: [2, 'integers', (view, at, isLittle) => view.getInt16(at, isLittle)],
  9: [4, 'integers', signedLong],
  10: [4, 'rationals', signedLong],
  11: [4, 'floats', (view, at, isLittle) => view.getFloat32(at, isLittle)],
  12: [8, 'floats', (view, at, isLittle) => view.getFloat64(at, isLittle)],
  13: [4, 'integers', long],
  16: [8, 'integers', (view, at, isLittle) => Number(view.getBigUint64(at, isLittle))],
};

/** 0 for a type that Pillow does not know. */
function valueBytesOf(type: number): number {
  const [bytes, kind] = NUMBERS[type] ?? [type === TEXT || OPAQUE.includes(type) ? 1 : 0];
  return kind === 'rationals' ? 2 * bytes : bytes;
}

/** Fields may share their bytes, so a small block could describe gigabytes. */
const MAX_VALUE_BYTES = 1 << 26;

type ExifValues =
  | { readonly kind: 'text'; readonly bytes: Buffer }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'integers'; readonly items: readonly number[] }
  | { readonly kind: 'floats'; readonly items: readonly number[] }
  | { readonly kind: 'rationals'; readonly items: readonly (readonly [numerator: number, denominator: number])[] };

/** Undecoded, since most fields are never read. */
interface ExifField {
  readonly type: number;
  readonly bytes: Buffer;
}

/** A TIFF structure. */
export interface ExifBlock {
  readonly bytes: Buffer;
  readonly isLittleEndian: boolean;
  readonly firstDirectory: number;
}

/** By tag; the last field of a tag counts. */
export function readExifDirectory(block: ExifBlock, offset: number): Map<number, ExifField> {
  const fields = new Map<number, ExifField>();
  const { bytes } = block;
  if (offset + 2 > bytes.length) return fields;
  const entries = numberAt(block, offset, 2);
  let valueBytes = 0;
  for (let entry = 0; entry < entries; entry++) {
    const at = offset + 2 + entry * 12;
    if (at + 12 > bytes.length) return fields;
    const type = numberAt(block, at + 2, 2);
    const size = numberAt(block, at + 4, 4) * valueBytesOf(type);
    if (size === 0) continue;
    const start = size > 4 ? numberAt(block, at + 8, 4) : at + 8;
    if (start + size > bytes.length) return fields;
    valueBytes += size;
    if (valueBytes > MAX_VALUE_BYTES) throw new StructureError('has damaged EXIF data: its fields overlap');
    fields.set(numberAt(block, at, 2), { type, bytes: bytes.subarray(start, start + size) });
  }
  return fields;
}

export function decodeExifValues({ isLittleEndian }: ExifBlock, { type, bytes }: ExifField): ExifValues {
  if (OPAQUE.includes(type)) return { kind: 'bytes', bytes };
  const number = NUMBERS[type];
  if (number === undefined) return { kind: 'text', bytes: bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes };
  const [size, kind, read] = number;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const items = Array.from({ length: bytes.length / size }, (_, index) => read(view, index * size, isLittleEndian));
  if (kind !== 'rationals') return { kind, items };
  return { kind, items: Array.from({ length: items.length / 2 }, (_, at) => [items[at * 2]!, items[at * 2 + 1]!]) };
}

function numberAt({ bytes, isLittleEndian }: ExifBlock, offset: number, length: 2 | 4): number {
  return isLittleEndian ? bytes.readUIntLE(offset, length) : bytes.readUIntBE(offset, length);
}
