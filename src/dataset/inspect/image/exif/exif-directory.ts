/*
 * Reads TIFF directories of EXIF data as Pillow does (11.1, `TiffImagePlugin.ImageFileDirectory_v2`): a field of an unknown
 * type is skipped, and reading ends without an error at the first field whose value lies outside the data.
 */
import { StructureError } from '../../inspection-error.js';

const ASCII = 2;
const RATIONAL = 5;
const SIGNED_RATIONAL = 10;
/** Field types of bytes that Pillow keeps as they are: BYTE and UNDEFINED. */
const OPAQUE = [1, 7];
/** Bytes of a value of each field type that Pillow knows, by number. IFD (13) is read as LONG, LONG8 (16) as 64 bits. */
const TYPE_BYTES: Record<number, number> = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  5: 8,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  10: 8,
  11: 4,
  12: 8,
  13: 4,
  16: 8,
};

/** Fields may share their bytes, so that a small block can describe gigabytes of values. */
const MAX_VALUE_BYTES = 1 << 26;

export type ExifValues =
  | { readonly kind: 'text'; readonly bytes: Buffer }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'integers'; readonly items: readonly number[] }
  | { readonly kind: 'floats'; readonly items: readonly number[] }
  | { readonly kind: 'rationals'; readonly items: readonly (readonly [numerator: number, denominator: number])[] };

/** The value of a field, undecoded: most fields are never asked for. */
interface ExifField {
  readonly type: number;
  readonly bytes: Buffer;
}

/** A TIFF structure with its byte order, and the offset of its first directory. */
export interface ExifBlock {
  readonly bytes: Buffer;
  readonly isLittleEndian: boolean;
  readonly firstDirectory: number;
}

/** The fields of the directory at `offset`, by tag. Of fields with the same tag, the last one counts. */
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
    const size = numberAt(block, at + 4, 4) * (TYPE_BYTES[type] ?? 0);
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
  if (type === ASCII) return { kind: 'text', bytes: bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const items = (read: (at: number) => number, size: number) =>
    Array.from({ length: bytes.length / size }, (_, index) => read(index * size));
  switch (type) {
    case RATIONAL:
      return { kind: 'rationals', items: pairs(items((at) => view.getUint32(at, isLittleEndian), 4)) };
    case SIGNED_RATIONAL:
      return { kind: 'rationals', items: pairs(items((at) => view.getInt32(at, isLittleEndian), 4)) };
    case 11:
      return { kind: 'floats', items: items((at) => view.getFloat32(at, isLittleEndian), 4) };
    case 12:
      return { kind: 'floats', items: items((at) => view.getFloat64(at, isLittleEndian), 8) };
    case 3:
      return { kind: 'integers', items: items((at) => view.getUint16(at, isLittleEndian), 2) };
    case 6:
      return { kind: 'integers', items: items((at) => view.getInt8(at), 1) };
    case 8:
      return { kind: 'integers', items: items((at) => view.getInt16(at, isLittleEndian), 2) };
    case 9:
      return { kind: 'integers', items: items((at) => view.getInt32(at, isLittleEndian), 4) };
    case 16:
      return { kind: 'integers', items: items((at) => Number(view.getBigUint64(at, isLittleEndian)), 8) };
    default:
      return { kind: 'integers', items: items((at) => view.getUint32(at, isLittleEndian), 4) };
  }
}

function pairs(numbers: readonly number[]): [number, number][] {
  return Array.from({ length: numbers.length / 2 }, (_, index) => [
    numbers[index * 2] ?? 0,
    numbers[index * 2 + 1] ?? 0,
  ]);
}

function numberAt({ bytes, isLittleEndian }: ExifBlock, offset: number, length: 2 | 4): number {
  return isLittleEndian ? bytes.readUIntLE(offset, length) : bytes.readUIntBE(offset, length);
}
