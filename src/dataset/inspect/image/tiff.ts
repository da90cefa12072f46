import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { damageIn, type ImageHeader } from './image-header.js';
import { validOrientation } from './orientation.js';

const WIDTH = 256;
const HEIGHT = 257;
const BITS = 258;
const STRIP_OFFSETS = 273;
const ORIENTATION = 274;
const SAMPLES = 277;
const ROWS_PER_STRIP = 278;
const STRIP_BYTES = 279;
const TILE_WIDTH = 322;
const TILE_HEIGHT = 323;
const TILE_OFFSETS = 324;
const TILE_BYTES = 325;
/** Bytes of each field type (TIFF 6.0, section 2; BigTIFF adds 13 to 18), and the types that are unsigned integers. */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
const UNSIGNED = [1, 3, 4, 13, 16];
const MAX_PIECES = 1 << 22;
/** libvips holds a strip of this many lines, or two rows of tiles, while it scales an image down. */
const LINES_HELD = 1500;

interface Field {
  readonly type: number;
  readonly count: number;
  readonly offset: number;
}

/**
 * Reads the first directory of a TIFF or BigTIFF file, the page that viewers show, and checks that each of its strips or
 * tiles lies inside the file. The trainer ignores TIFFs, so damage after the dimensions is reported, not thrown.
 *
 * @throws StructureError if the file ends before its directory
 */
export function readTiff(file: FileBytes): ImageHeader {
  const tiff = new Tiff(file);
  const fields = tiff.firstDirectory();
  const number = (tag: number, fallback: number) => {
    const field = fields.get(tag);
    return field === undefined ? fallback : tiff.value(field, 0);
  };
  const width = number(WIDTH, 0);
  const height = number(HEIGHT, 0);
  const tiled = fields.has(TILE_OFFSETS);
  let largestPiece = 0;
  const damage = damageIn(() => {
    const offsets = fields.get(tiled ? TILE_OFFSETS : STRIP_OFFSETS);
    const lengths = fields.get(tiled ? TILE_BYTES : STRIP_BYTES);
    if (
      offsets === undefined ||
      lengths === undefined ||
      offsets.count !== lengths.count ||
      offsets.count > MAX_PIECES
    ) {
      throw new StructureError('is damaged: its TIFF directory does not locate the pixels');
    }
    largestPiece = checkPieces(file, { offsets: [...tiff.values(offsets)], lengths: tiff.values(lengths) });
  });
  const rowBytes = (width * number(SAMPLES, 1) * number(BITS, 8)) / 8;
  const rows = tiled
    ? 2 * number(TILE_HEIGHT, height) * Math.max(1, number(TILE_WIDTH, width) / width)
    : Math.max(LINES_HELD, Math.min(height, number(ROWS_PER_STRIP, height)));
  const orientation = validOrientation(number(ORIENTATION, 1));
  return { width, height, orientation, animated: false, decoderBytes: rowBytes * rows + largestPiece, ...damage };
}

/** The bytes of the largest strip or tile. @throws StructureError if one lies outside the file */
function checkPieces(file: FileBytes, pieces: { offsets: readonly number[]; lengths: Iterable<number> }): number {
  let largest = 0;
  let index = 0;
  for (const length of pieces.lengths) {
    const end = (pieces.offsets[index++] ?? 0) + length;
    file.requireSize(end);
    largest = Math.max(largest, length);
  }
  return largest;
}

class Tiff {
  private readonly file: FileBytes;
  private readonly little: boolean;
  private readonly big: boolean;

  constructor(file: FileBytes) {
    this.file = file;
    this.little = file.at(0, 2).toString('latin1') === 'II';
    this.big = this.number(2, 2) === 43;
  }

  firstDirectory(): Map<number, Field> {
    const start = this.big ? this.number(8, 8) : this.number(4, 4);
    const entries = this.number(start, this.big ? 8 : 2);
    if (entries > 65_535) throw new StructureError('is damaged: its TIFF directory is invalid');
    const entryBytes = this.big ? 20 : 12;
    const fields = new Map<number, Field>();
    for (let entry = 0; entry < entries; entry++) {
      const at = start + (this.big ? 8 : 2) + entry * entryBytes;
      const type = this.number(at + 2, 2);
      const count = this.number(at + 4, this.big ? 8 : 4);
      const inlineBytes = this.big ? 8 : 4;
      const valueAt = at + 4 + inlineBytes;
      const bytes = count * (TYPE_BYTES[type] ?? 0);
      const offset = bytes <= inlineBytes ? valueAt : this.number(valueAt, inlineBytes);
      this.file.requireSize(offset + bytes);
      fields.set(this.number(at, 2), { type, count, offset });
    }
    // The offset of the next directory is often the last number of a file; a truncated file lacks it.
    this.number(start + (this.big ? 8 : 2) + entries * entryBytes, this.big ? 8 : 4);
    return fields;
  }

  value(field: Field, index: number): number {
    const bytes = TYPE_BYTES[field.type] ?? 0;
    if (!UNSIGNED.includes(field.type) || index >= field.count) {
      throw new StructureError('is damaged: a field of its TIFF directory is not a number');
    }
    return this.number(field.offset + index * bytes, bytes);
  }

  *values(field: Field): Generator<number> {
    for (let index = 0; index < field.count; index++) yield this.value(field, index);
  }

  private number(offset: number, bytes: number): number {
    const at = this.file.at(offset, bytes);
    if (bytes === 8) return Number(this.little ? at.readBigUInt64LE(0) : at.readBigUInt64BE(0));
    return this.little ? at.readUIntLE(0, bytes) : at.readUIntBE(0, bytes);
  }
}
