import type { FileBytes } from '../byte-source.js';
import type { ImageHeader } from './image-header.js';

const OLD_HEADER_BYTES = 12;
const UNCOMPRESSED = [0, 3, 6];

/**
 * Reads the header of a Windows or OS/2 bitmap.
 *
 * @throws StructureError if the file ends within its header, or before pixels that are not compressed
 */
export function readBmp(file: FileBytes): ImageHeader {
  const start = Buffer.from(file.at(0, 26));
  const isOld = start.readUInt32LE(14) === OLD_HEADER_BYTES;
  const width = isOld ? start.readUInt16LE(18) : Math.abs(start.readInt32LE(18));
  // Negative where the top row comes first.
  const height = isOld ? start.readUInt16LE(20) : Math.abs(start.readInt32LE(22));
  const bits = isOld ? start.readUInt16LE(24) : file.at(28, 2).readUInt16LE(0);
  const compression = isOld ? 0 : file.at(30, 4).readUInt32LE(0);
  const bytes = UNCOMPRESSED.includes(compression) ? Math.ceil((width * bits) / 32) * 4 * height : 0;
  file.requireSize(start.readUInt32LE(10) + bytes);
  return { width, height, orientation: 1, animated: false, decoderBytes: 0 };
}
