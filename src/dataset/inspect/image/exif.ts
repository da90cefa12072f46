/*
 * EXIF data as Pillow 11.1 reads it, and writes it again (`Image.Exif.tobytes`) for each picture that `exif_transpose` turns. If that
 * raises, the trainer drops the picture.
 */

import { InspectionError, StructureError } from '../inspection-error.js';

/** TIFF 6.0, section 2. */
const [BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED] = [1, 2, 3, 4, 5, 7] as const;
const [SIGNED_SHORT, SIGNED_LONG, SIGNED_RATIONAL, DOUBLE] = [8, 9, 10, 12] as const;

const ORIENTATION = 0x0112;
const EXIF_IDENTIFIER = Buffer.from('Exif\0\0', 'latin1');
/** Headers that Pillow accepts (11.1, `TiffImagePlugin.PREFIXES`), without BigTIFF's. */
const HEADERS = ['MM\0*', 'II*\0', 'MM*\0', 'II\0*', 'MM\0+'];
const BIG_TIFF = 'II+\0';

/** No photo's fields refer to bytes farther away. */
export const MAX_EXIF_BYTES = 1 << 24;

/**
 * The trainer applies the orientation by Pillow's `exif_transpose`, and drops the image if that raises (ai-toolkit
 * `toolkit/data_transfer_object/data_loader.py`). For a turned image, Pillow writes the EXIF data again.
 *
 * @param elsewhere the orientation of data without one
 * @throws InspectionError where it raises, as for an invalid header
 */
export function orientationOf(exif: Buffer, elsewhere: () => number = () => 1): number {
  const block = exifBlockOf(exif);
  const stored = (block && storedOrientation(block)) ?? elsewhere();
  const orientation = Number.isInteger(stored) && stored >= 1 && stored <= 8 ? stored : 1;
  if (block === undefined || orientation === 1) return orientation;
  if (isRewritable(block, { group: 'first', offset: block.firstDirectory })) return orientation;
  throw brokenExif('a field of it has a value of the wrong type');
}

/** `undefined` without the tag; a value that is not a number counts as 1. */
function storedOrientation(block: ExifBlock): number | undefined {
  const field = readExifDirectory(block, block.firstDirectory).get(ORIENTATION);
  if (field === undefined) return undefined;
  const values = decodeExifValues(block, field);
  if (values.kind === 'integers' || values.kind === 'floats') return values.items[0] ?? 1;
  if (values.kind !== 'rationals') return 1;
  const [numerator = 1, denominator = 1] = values.items[0] ?? [];
  return numerator / denominator;
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

/** As shown: orientations 5 to 8 swap the sides (EXIF 2.3, tag 274). */
export function oriented(image: { width: number; height: number; orientation: number }) {
  const { width, height } = image;
  return image.orientation >= 5 ? { width: height, height: width } : { width, height };
}

/** Beyond it, Python's `seek` raises. */
const MAX_SEEK = 2 ** 63 - 1;

/** Whether a directory can be written again without the orientation, with those that its pointers lead to. */
function isRewritable(block: ExifBlock, { group, offset }: { group: ExifGroup; offset: number }): boolean {
  return [...readExifDirectory(block, offset)].every(([tag, field]) => {
    if (group === 'first' && tag === ORIENTATION) return true;
    const values = decodeExifValues(block, field);
    if (isPointer(group, tag)) {
      const target = values.kind === 'integers' ? (values.items[0] ?? 0) : undefined;
      if (target === undefined) return true;
      return target >= 0 && target <= MAX_SEEK && isRewritable(block, { group: tag, offset: target });
    }
    const { type, isSingle } = TAG_TYPES[group].get(tag) ?? { type: fittingType(values), isSingle: false };
    return canBeWritten(isSingle ? firstOf(values) : values, type);
  });
}

function isPointer(group: ExifGroup, tag: number): tag is Exclude<ExifGroup, 'first'> {
  if (group === 'first') return tag === EXIF_POINTER || tag === GPS_POINTER;
  return group === EXIF_POINTER && tag === INTEROPERABILITY_POINTER;
}

function firstOf(values: ExifValues): ExifValues {
  return 'items' in values ? ({ ...values, items: values.items.slice(0, 1) } as ExifValues) : values;
}

/** For tags that Pillow does not know. */
function fittingType(values: ExifValues): number {
  switch (values.kind) {
    case 'text':
      return ASCII;
    case 'bytes':
      return BYTE;
    case 'floats':
      return DOUBLE;
    case 'rationals':
      return values.items.some(([n, d]) => d !== 0 && n / d < 0) ? SIGNED_RATIONAL : RATIONAL;
    case 'integers':
      return [SHORT, SIGNED_SHORT, LONG].find((type) => isInRange(values.items, type)) ?? SIGNED_LONG;
  }
}

/** The least and the greatest integer of a type. */
const RANGES: Readonly<Record<number, readonly [least: number, greatest: number]>> = {
  [SHORT]: [0, 0xffff],
  [LONG]: [0, 0xffff_ffff],
  [SIGNED_SHORT]: [-0x8000, 0x7fff],
  [SIGNED_LONG]: [-0x8000_0000, 0x7fff_ffff],
};

function isInRange(items: readonly number[], type: number): boolean {
  const [least, greatest] = RANGES[type] ?? [0, 0];
  return items.every((value) => value >= least && value <= greatest);
}

function canBeWritten(values: ExifValues, type: number): boolean {
  const isPlain = values.kind === 'text' || values.kind === 'bytes';
  if (type in RANGES) return values.kind === 'integers' && isInRange(values.items, type);
  if (OPAQUE.includes(type)) return isOpaque(values, type);
  if (type === ASCII) return isPlain || (values.kind === 'integers' && values.items.length === 1);
  if (isPlain) return false;
  if (type === RATIONAL || type === SIGNED_RATIONAL)
    return areFractions(values, { isSigned: type === SIGNED_RATIONAL });
  return values.kind !== 'rationals' || values.items.every(([, denominator]) => denominator !== 0);
}

/** Takes one value; a number becomes one byte or its digits. */
function isOpaque(values: ExifValues, type: number): boolean {
  if (values.kind === 'bytes') return true;
  if (values.kind === 'text') return type !== BYTE;
  if (values.kind === 'floats' || values.items.length !== 1) return false;
  const [numerator, denominator] = values.kind === 'integers' ? [values.items[0] ?? 0, 1] : values.items[0]!;
  const number = Math.trunc(numerator / denominator);
  return denominator !== 0 && (type !== BYTE || (number >= 0 && number <= 255));
}

function areFractions(values: Extract<ExifValues, { items: unknown }>, { isSigned }: { isSigned: boolean }): boolean {
  if (values.kind !== 'rationals') {
    return values.items.every((value) => (isSigned ? Number.isFinite(value) : isUnsignedFraction(value)));
  }
  return values.items.every(([n, d]) => (isSigned ? d !== 0 || n <= 0x7fff_ffff : d === 0 ? n >= 0 : n / d >= 0));
}

/** Pillow writes the nearest unsigned fraction, which is zero or infinity for some negative values. */
function isUnsignedFraction(value: number): boolean {
  if (Number.isNaN(value)) return false;
  const fraction = Math.abs(value) > 1 ? 1 / value : value;
  return fraction >= -0.5 / 0xffff_ffff;
}

/** Directories that Pillow writes, by the tag of their pointer. */
const EXIF_POINTER = 34665;
const GPS_POINTER = 34853;
const INTEROPERABILITY_POINTER = 40965;
type ExifGroup = 'first' | typeof EXIF_POINTER | typeof GPS_POINTER | typeof INTEROPERABILITY_POINTER;

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

function tableOf(rows: readonly Row[]) {
  return new Map(rows.flatMap(([type, isSingle, tags]) => tags.map((tag) => [tag, { type, isSingle }] as const)));
}

/** The types that Pillow writes tags with (`TiffTags.py`); others get a type that fits the value. */
const TAG_TYPES: Record<ExifGroup, ReturnType<typeof tableOf>> = {
  first: tableOf(FIRST),
  [EXIF_POINTER]: tableOf(EXIF),
  [GPS_POINTER]: tableOf(GPS),
  [INTEROPERABILITY_POINTER]: tableOf(INTEROPERABILITY),
};

/** Pillow keeps them as they are. */
const OPAQUE: readonly number[] = [BYTE, UNDEFINED];

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
  const [bytes, kind] = NUMBERS[type] ?? [type === ASCII || OPAQUE.includes(type) ? 1 : 0];
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

/**
 * By tag; the last field of a tag counts. Fields of unknown types are skipped, and a value outside the data ends the reading
 * (`TiffImagePlugin.ImageFileDirectory_v2`).
 */
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
