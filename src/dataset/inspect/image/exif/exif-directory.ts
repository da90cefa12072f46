/*
 * TIFF directories as Pillow reads them (11.1, `TiffImagePlugin.ImageFileDirectory_v2`): fields of unknown types are skipped, and
 * a value outside the data ends the reading without an error.
 */
import { StructureError } from '../../inspection-error.js';

const ASCII = 2;
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
  const [bytes, kind] = NUMBERS[type] ?? [type === ASCII || OPAQUE.includes(type) ? 1 : 0];
  return kind === 'rationals' ? 2 * bytes : bytes;
}

/** Fields may share their bytes, so a small block could describe gigabytes. */
const MAX_VALUE_BYTES = 1 << 26;

export type ExifValues =
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
