import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { checkDimensions, type ImageHeader } from './image-header.js';

const RLE8 = 1;
const RLE4 = 2;
const EMBEDDED = [4, 5]; // A JPEG or PNG inside, meant for printers only.

/**
 * Checks a Windows or OS/2 bitmap: its pixel array must lie inside the file or, if run-length coded, reach its end mark.
 * The pixels are not decoded, since libvips reads no BMP.
 *
 * @throws StructureError, InspectionError
 */
export function readBmp(file: FileBytes): ImageHeader {
  const start = file.at(0, 26);
  const pixels = start.readUInt32LE(10);
  const headerBytes = start.readUInt32LE(14);
  if (headerBytes !== 12 && (headerBytes < 16 || headerBytes > 124)) {
    throw new StructureError('is damaged: its bitmap header is invalid');
  }
  const header = headerBytes === 12 ? readOldHeader(start) : readHeader(file.at(14, headerBytes));
  const { width, height, bits, compression } = header;
  checkDimensions(width, height);
  if (![1, 2, 4, 8, 16, 24, 32].includes(bits) && !EMBEDDED.includes(compression)) {
    throw new StructureError(`is damaged: its header gives ${bits} bits per pixel`);
  }
  if (compression === RLE8 || compression === RLE4) walkRuns(file, { start: pixels, compression });
  else {
    const bytes = EMBEDDED.includes(compression) ? header.dataBytes : Math.ceil((width * bits) / 32) * 4 * height;
    file.requireSize(pixels + bytes);
  }
  return { width, height, orientation: 1, animated: false, decoderBytes: 0 };
}

function readOldHeader(start: Buffer) {
  return {
    width: start.readUInt16LE(18),
    height: start.readUInt16LE(20),
    bits: start.readUInt16LE(24),
    compression: 0,
    dataBytes: 0,
  };
}

function readHeader(header: Buffer) {
  return {
    width: header.readInt32LE(4),
    height: Math.abs(header.readInt32LE(8)), // Negative where the top row comes first.
    bits: header.readUInt16LE(14),
    compression: header.length >= 20 ? header.readUInt32LE(16) : 0,
    dataBytes: header.length >= 24 ? header.readUInt32LE(20) : 0,
  };
}

/** Follows the runs to the end mark. */
function walkRuns(file: FileBytes, pixels: { start: number; compression: number }): void {
  for (let offset = pixels.start; ; ) {
    const [count = 0, code = 0] = file.at(offset, 2);
    offset += 2;
    if (count > 0) continue; // A run of one colour.
    if (code === 1) return; // The end of the bitmap.
    if (code === 2) offset += 2;
    if (code > 2) offset += Math.ceil((pixels.compression === RLE8 ? code : code / 2) / 2) * 2;
  }
}
