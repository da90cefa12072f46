import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import type { ImageHeader } from './image-header.js';
import { validOrientation } from './orientation.js';

const WIDTH = 256;
const HEIGHT = 257;
const BITS = 258;
const ORIENTATION = 274;
const SAMPLES = 277;
const ROWS_PER_STRIP = 278;
const TILE_WIDTH = 322;
const TILE_HEIGHT = 323;
/** Bytes of each field type that is an unsigned integer (TIFF 6.0, section 2; BigTIFF adds 16). */
const UNSIGNED_BYTES: Record<number, number> = { 1: 1, 3: 2, 4: 4, 13: 4, 16: 8 };
/** libvips holds a strip of this many lines, or two rows of tiles, while it scales an image down. */
const LINES_HELD = 1500;

/**
 * Reads the dimensions in the first directory of a TIFF or BigTIFF file, the page that viewers show.
 *
 * @throws StructureError if the file ends before its directory
 */
export function readTiff(file: FileBytes): ImageHeader {
  const fields = firstDirectory(file);
  const width = fields.get(WIDTH) ?? 0;
  const height = fields.get(HEIGHT) ?? 0;
  const rowBytes = (width * (fields.get(SAMPLES) ?? 1) * (fields.get(BITS) ?? 8)) / 8;
  const tileHeight = fields.get(TILE_HEIGHT);
  const rows =
    tileHeight === undefined
      ? Math.max(LINES_HELD, Math.min(height, fields.get(ROWS_PER_STRIP) ?? height))
      : 2 * tileHeight * Math.max(1, (fields.get(TILE_WIDTH) ?? width) / width);
  const orientation = validOrientation(fields.get(ORIENTATION) ?? 1);
  return { width, height, orientation, animated: false, decoderBytes: rowBytes * rows };
}

/** The first value of each field of the first directory that is a number, by its tag. */
function firstDirectory(file: FileBytes): Map<number, number> {
  const isLittleEndian = file.at(0, 2).toString('latin1') === 'II';
  const number = (offset: number, bytes: number): number => {
    const at = file.at(offset, bytes);
    if (bytes === 8) return Number(isLittleEndian ? at.readBigUInt64LE(0) : at.readBigUInt64BE(0));
    return isLittleEndian ? at.readUIntLE(0, bytes) : at.readUIntBE(0, bytes);
  };
  const isBig = number(2, 2) === 43;
  const offsetBytes = isBig ? 8 : 4;
  const start = number(offsetBytes, offsetBytes);
  const entries = number(start, isBig ? 8 : 2);
  if (entries > 65_535) throw new StructureError('is damaged: its TIFF directory is invalid');
  const fields = new Map<number, number>();
  let at = start + (isBig ? 8 : 2);
  for (let entry = 0; entry < entries; entry++) {
    const bytes = UNSIGNED_BYTES[number(at + 2, 2)];
    const count = number(at + 4, offsetBytes);
    const valueAt = at + 4 + offsetBytes;
    if (bytes !== undefined && count > 0) {
      const offset = bytes * count <= offsetBytes ? valueAt : number(valueAt, offsetBytes);
      fields.set(number(at, 2), number(offset, bytes));
    }
    at = valueAt + offsetBytes;
  }
  return fields;
}
