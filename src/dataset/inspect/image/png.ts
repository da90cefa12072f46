import { crc32 } from 'node:zlib';
import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { checkDimensions, type ImageHeader } from './image-header.js';
import { orientationOf } from './orientation.js';
import { provePngPixels } from './png-pixels.js';

const PNG_SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const SAMPLES_PER_PIXEL: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const BIT_DEPTHS: Record<number, readonly number[]> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
/** libvips holds a strip of this many lines while it scales an image down, which matters for lines of millions of pixels. */
const LINES_HELD = 1500;

interface Chunk {
  readonly type: string;
  readonly payload: number;
  readonly length: number;
}

/**
 * Reads every chunk up to IEND and checks its CRC, so that a single flipped bit is found. Bytes after IEND are not part of
 * the image.
 *
 * @throws StructureError, InspectionError
 */
export function readPng(file: FileBytes): ImageHeader {
  if (!file.at(0, 8).equals(PNG_SIGNATURE)) throw new StructureError('is damaged: its PNG signature is invalid');
  const first = chunkAt(file, 8);
  if (first.type !== 'IHDR' || first.length !== 13) {
    throw new StructureError('is damaged: it does not begin with a PNG header');
  }
  const header = readHeader(Buffer.from(file.at(first.payload, 13)));
  let orientation = 1;
  let animated = false;
  let firstData: number | undefined;
  let hasPalette = false;
  for (let offset = 8, type = ''; type !== 'IEND'; ) {
    const chunk = chunkAt(file, offset);
    type = chunk.type;
    checkCrc(file, chunk);
    if (type === 'IDAT') firstData ??= offset;
    if (type === 'PLTE') hasPalette = true;
    if (type === 'acTL') animated = true;
    if (type === 'eXIf') orientation = orientationOf(file.at(chunk.payload, Math.min(chunk.length, 1 << 16)));
    offset = chunk.payload + chunk.length + 4;
  }
  if (firstData === undefined) throw new StructureError('is damaged: it has no pixels');
  if (header.colour === 3 && !hasPalette) throw new StructureError('is damaged: its palette is missing');
  const { width, height, decoderBytes } = header;
  const data = firstData;
  const provePixels = () => provePngPixels(imageData(file, data), header);
  return { width, height, orientation, animated, decoderBytes, provePixels };
}

function readHeader(bytes: Buffer) {
  const width = bytes.readUInt32BE(0);
  const height = bytes.readUInt32BE(4);
  checkDimensions(width, height);
  const [depth = 0, colour = 0, , , interlace = 0] = bytes.subarray(8);
  if (!BIT_DEPTHS[colour]?.includes(depth) || bytes[10] !== 0 || bytes[11] !== 0 || interlace > 1) {
    throw new StructureError('is damaged: its PNG header is invalid');
  }
  const bitsPerPixel = depth * (SAMPLES_PER_PIXEL[colour] ?? 1);
  const interlaced = interlace === 1;
  // libvips holds an interlaced image until the last pass is decoded. It decodes palettes and low bit depths to at least
  // one byte per sample.
  const bytesPerPixel = (colour === 3 ? 4 : (SAMPLES_PER_PIXEL[colour] ?? 1)) * (depth === 16 ? 2 : 1);
  const linesHeld = interlaced ? height : Math.min(height, LINES_HELD);
  return { width, height, colour, bitsPerPixel, interlaced, decoderBytes: width * linesHeld * bytesPerPixel };
}

/** The payloads of all IDAT chunks, in pieces that are each valid until the next one is read. */
function* imageData(file: FileBytes, firstData: number): Generator<Buffer> {
  for (let offset = firstData; ; ) {
    const chunk = chunkAt(file, offset);
    if (chunk.type === 'IEND') return;
    if (chunk.type === 'IDAT') yield* pieces(file, chunk.payload, chunk.length);
    offset = chunk.payload + chunk.length + 4;
  }
}

function chunkAt(file: FileBytes, offset: number): Chunk {
  const header = file.at(offset, 8);
  return { length: header.readUInt32BE(0), type: header.toString('latin1', 4, 8), payload: offset + 8 };
}

function checkCrc(file: FileBytes, chunk: Chunk): void {
  let crc = crc32(Buffer.from(chunk.type, 'latin1'));
  const end = chunk.payload + chunk.length;
  // Read first, so that truncation is found before gigabytes of a chunk are read.
  const expected = file.at(end, 4).readUInt32BE(0);
  for (const piece of pieces(file, chunk.payload, chunk.length)) crc = crc32(piece, crc);
  if (crc !== expected) {
    const name = /^[A-Za-z]{4}$/.test(chunk.type) ? ` in its ${chunk.type} chunk` : '';
    throw new StructureError(`is damaged: the bytes${name} do not match their checksum`);
  }
}

function* pieces(file: FileBytes, start: number, length: number): Generator<Buffer> {
  for (let offset = start; offset < start + length; ) {
    const piece = file.upTo(offset, start + length - offset);
    yield piece;
    offset += piece.length;
  }
}
