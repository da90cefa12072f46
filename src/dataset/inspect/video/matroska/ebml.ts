import type { FileBytes } from '../../byte-source.js';
import { formatCount, StructureError, truncation } from '../../inspection-error.js';

export interface EbmlElement {
  readonly id: number;
  readonly payload: number;
  /** `undefined` for an element of unknown size, as live recorders write it (RFC 8794, section 6.2). */
  readonly end: number | undefined;
}

export interface SizedElement extends EbmlElement {
  readonly end: number;
}

/**
 * Reads the header of the EBML element at `offset`.
 *
 * @throws StructureError if the bytes are not an element, or if the element ends after its parent or after the file
 */
export function elementAt(file: FileBytes, offset: number, parentEnd: number): EbmlElement {
  const bytes = file.upTo(offset, 12);
  const idBytes = vintBytes(bytes[0], 4);
  const sizeBytes = vintBytes(bytes[idBytes], 8);
  const length = idBytes + sizeBytes;
  if (bytes.length < length || idBytes === 0 || sizeBytes === 0) {
    if (file.size - offset < 12) throw truncation('its last element is incomplete');
    throw new StructureError(`is damaged: byte ${formatCount(offset)} is not the start of a Matroska element`);
  }
  const id = bytes.readUIntBE(0, idBytes);
  const payload = offset + length;
  const size = sizeAt(bytes.subarray(idBytes, length));
  if (size === undefined) return { id, payload, end: undefined };
  const end = payload + size;
  file.requireSize(end);
  if (end > parentEnd) {
    throw new StructureError(
      `is damaged: the element at byte ${formatCount(offset)} is longer than its parent element`,
    );
  }
  return { id, payload, end };
}

/** @throws StructureError for an element of unknown size. */
export function requireSized(element: EbmlElement, offset: number): SizedElement {
  if (element.end === undefined) {
    throw new StructureError(`is damaged: the element at byte ${formatCount(offset)} has no size`);
  }
  return element as SizedElement;
}

/** Yields the elements of a parent, none of unknown size. @throws StructureError */
export function* elementsOf(file: FileBytes, parent: SizedElement): Generator<SizedElement> {
  for (let offset = parent.payload; offset < parent.end; ) {
    const element = requireSized(elementAt(file, offset, parent.end), offset);
    yield element;
    offset = element.end;
  }
}

export function unsignedValue(file: FileBytes, element: SizedElement): number {
  const bytes = bytesOf(file, element);
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

export function floatValue(file: FileBytes, element: SizedElement): number {
  const bytes = bytesOf(file, element);
  return bytes.length === 4 ? bytes.readFloatBE(0) : bytes.length === 8 ? bytes.readDoubleBE(0) : 0;
}

function bytesOf(file: FileBytes, element: SizedElement): Buffer {
  const length = element.end - element.payload;
  if (length > 8) throw new StructureError('is damaged: a number in its headers is too long');
  return file.at(element.payload, length);
}

/** The length of a variable-length integer by its first byte, in bytes; 0 if it exceeds `maxBytes`. */
function vintBytes(first: number | undefined, maxBytes: number): number {
  if (first === undefined || first === 0) return 0;
  const length = Math.clz32(first) - 23;
  return length <= maxBytes ? length : 0;
}

/** The value of a variable-length integer; `undefined` if all its bits are ones, which means an unknown size. */
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

/** The track number at the beginning of a block, and its length in bytes. */
export function trackNumber(bytes: Buffer): { track: number; length: number } {
  const length = vintBytes(bytes[0], 8);
  if (length === 0 || length > bytes.length) {
    throw new StructureError('is damaged: one of its blocks belongs to no track');
  }
  return { track: sizeAt(bytes.subarray(0, length)) ?? 0, length };
}
