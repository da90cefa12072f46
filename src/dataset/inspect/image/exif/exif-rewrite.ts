/*
 * Whether Pillow can write EXIF data again (11.1, `Image.Exif.tobytes`), as `exif_transpose` does for each image that it turns. If
 * it raises, the trainer drops the image.
 */
import { decodeExifValues, type ExifBlock, type ExifValues, readExifDirectory } from './exif-directory.js';
import { EXIF_POINTER, type ExifGroup, exifTagType, GPS_POINTER, INTEROPERABILITY_POINTER } from './exif-tags.js';

const ORIENTATION = 0x0112;
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
export function isRewritable(block: ExifBlock): boolean {
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
