import type { FileBytes } from '../byte-source.js';
import { StructureError, truncated } from '../inspection-error.js';

export interface EbmlElement {
  readonly id: number;
  readonly payload: number;
  /** `undefined` where the writer could not seek back to write it: live recordings (RFC 8794, section 6.2). */
  readonly end: number | undefined;
}

/**
 * The header of the EBML element at `offset`.
 *
 * @throws Damage where the bytes are no element, or the file or the parent ends before the element does.
 */
export function elementAt(file: FileBytes, offset: number, parentEnd: number): EbmlElement {
  const bytes = file.upTo(offset, 12);
  const idBytes = vintBytes(bytes[0], 4);
  const sizeBytes = vintBytes(bytes[idBytes], 8);
  const length = idBytes + sizeBytes;
  if (bytes.length < length || idBytes === 0 || sizeBytes === 0) {
    if (file.size - offset < 12) throw truncated({ needed: 0, size: 0, what: 'its last element is not whole' });
    throw new StructureError(`is damaged: byte ${offset} begins no Matroska element`);
  }
  const id = bytes.readUIntBE(0, idBytes);
  const payload = offset + length;
  const size = sizeAt(bytes.subarray(idBytes, length));
  if (size === undefined) return { id, payload, end: undefined };
  const end = payload + size;
  if (end > file.size) throw truncated({ needed: end, size: file.size, what: 'it' });
  if (end > parentEnd)
    throw new StructureError(`is damaged: an element at byte ${offset} is longer than what contains it`);
  return { id, payload, end };
}

/** The elements between two offsets, all of which have a size. @throws Damage */
export function* elementsOf(
  file: FileBytes,
  range: { payload: number; end: number },
): Generator<Required<EbmlElement>> {
  for (let offset = range.payload; offset < range.end; ) {
    const element = elementAt(file, offset, range.end);
    if (element.end === undefined) throw new StructureError(`is damaged: the element at byte ${offset} has no size`);
    yield element;
    offset = element.end;
  }
}

export function unsigned(file: FileBytes, element: EbmlElement): number {
  const bytes = bytesOf(file, element);
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

export function float(file: FileBytes, element: EbmlElement): number {
  const bytes = bytesOf(file, element);
  return bytes.length === 4 ? bytes.readFloatBE(0) : bytes.length === 8 ? bytes.readDoubleBE(0) : 0;
}

function bytesOf(file: FileBytes, element: EbmlElement): Buffer {
  const length = (element.end ?? element.payload) - element.payload;
  if (length > 8) throw new StructureError('is damaged: a number in its headers is too long');
  return file.at(element.payload, length);
}

/** How many bytes a variable-length integer has by its first byte; 0 where that is more than `most`. */
function vintBytes(first: number | undefined, most: number): number {
  if (first === undefined || first === 0) return 0;
  const length = Math.clz32(first) - 23;
  return length <= most ? length : 0;
}

function sizeAt(bytes: Buffer): number | undefined {
  const first = bytes[0] ?? 0;
  const mask = 0xff >> bytes.length;
  let value = first & mask;
  let allOnes = value === mask;
  for (const byte of bytes.subarray(1)) {
    value = value * 256 + byte;
    allOnes &&= byte === 0xff;
  }
  return allOnes ? undefined : value;
}

/** The number of a track, as it stands at the start of a block. */
export function trackNumber(bytes: Buffer): { track: number; length: number } {
  const length = vintBytes(bytes[0], 8);
  if (length === 0 || length > bytes.length)
    throw new StructureError('is damaged: one of its blocks belongs to no track');
  return { track: sizeAt(bytes.subarray(0, length)) ?? 0, length };
}
