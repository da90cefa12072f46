import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { checkDimensions, type ImageHeader } from '../image-header.js';
import { checkChecksum, type PngChunk, payloadPieces, pngChunkAt } from './png-chunks.js';
import { isReadableMask, PngMaskReader } from './png-mask.js';
import { PngMetadata } from './png-metadata.js';
import { type PixelSink, provePngPixels } from './png-pixels.js';

const PNG_SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const SAMPLES_PER_PIXEL: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const BIT_DEPTHS: Record<number, readonly number[]> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
const PALETTE = 3;
const MAX_PALETTE_BYTES = 3 * 256;
/** Chunks that Pillow takes for pixels if they follow an IDAT chunk. */
const DATA = ['IDAT', 'DDAT', 'fdAT'];
/** libvips holds a strip of this many lines while it scales an image down, which matters for lines of millions of pixels. */
const LINES_HELD = 1500;

/**
 * Reads every chunk up to IEND and checks its CRC, so that a single flipped bit is found. Bytes after IEND are not part of
 * the image.
 *
 * @throws StructureError, InspectionError
 */
export function readPng(file: FileBytes): ImageHeader {
  if (!file.at(0, 8).equals(PNG_SIGNATURE)) throw new StructureError('is damaged: its PNG signature is invalid');
  const first = pngChunkAt(file, 8);
  if (first.type !== 'IHDR' || first.length !== 13) {
    throw new StructureError('is damaged: it does not begin with a PNG header');
  }
  const header = readHeader(Buffer.from(file.at(first.payload, 13)));
  const metadata = new PngMetadata(header);
  let firstData: number | undefined;
  let palette: Buffer | undefined;
  let transparency: Buffer | undefined;
  let isRead = true;
  for (let offset = 8, type = ''; type !== 'IEND'; ) {
    const chunk = pngChunkAt(file, offset);
    type = chunk.type;
    // Real files lack a part of the last checksum, which protects no content.
    if (type === 'IEND' && chunk.length === 0 && file.size < chunk.end) break;
    checkChecksum(file, chunk);
    const isNamed = /^\w{4}$/.test(type);
    if (!isNamed && firstData === undefined) throw new StructureError('is damaged: a chunk has no valid name');
    if (type === 'IDAT') {
      firstData ??= offset;
      metadata.startPixels();
    }
    if (type === 'PLTE') palette = beginningOf(file, chunk);
    if (type === 'tRNS') transparency = beginningOf(file, chunk);
    // Pillow reads no further than the first frame of an animation, or a chunk after the pixels that has no valid name.
    if ((type === 'fcTL' && metadata.isAnimated) || !isNamed) isRead = false;
    if (isRead) metadata.add(file, chunk);
    offset = chunk.end;
  }
  if (firstData === undefined) throw new StructureError('is damaged: it has no pixels');
  if (header.colour === PALETTE && palette === undefined)
    throw new StructureError('is damaged: its palette is missing');
  const { width, height, decoderBytes } = header;
  const data = firstData;
  const { colour, depth, bitsPerPixel, interlaced } = header;
  const layout = { ...metadata.region, colour, depth, bitsPerPixel, interlaced, palette, transparency };
  const provePixels = (sink?: PixelSink) => provePngPixels(imageData(file, data), layout, sink);
  const readMask = async () => {
    const reader = isReadableMask(layout) ? new PngMaskReader(layout) : undefined;
    await provePixels(reader);
    return reader?.traits();
  };
  const orientation = metadata.orientation();
  return { width, height, orientation, animated: metadata.isAnimated, decoderBytes, provePixels, readMask };
}

/** As many bytes of a chunk as a palette can have. */
function beginningOf(file: FileBytes, { payload, length }: PngChunk): Buffer {
  return Buffer.from(file.at(payload, Math.min(length, MAX_PALETTE_BYTES)));
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
  const bytesPerPixel = (colour === PALETTE ? 4 : (SAMPLES_PER_PIXEL[colour] ?? 1)) * (depth === 16 ? 2 : 1);
  const linesHeld = interlaced ? height : Math.min(height, LINES_HELD);
  return { width, height, colour, depth, bitsPerPixel, interlaced, decoderBytes: width * linesHeld * bytesPerPixel };
}

/** The payloads of the data chunks that follow one another, in pieces that are each valid until the next one is read. */
function* imageData(file: FileBytes, firstData: number): Generator<Buffer> {
  let chunk: PngChunk = pngChunkAt(file, firstData);
  while (DATA.includes(chunk.type)) {
    // A frame's data chunk begins with its sequence number.
    yield* payloadPieces(file, chunk, chunk.type === 'fdAT' ? 4 : 0);
    chunk = pngChunkAt(file, chunk.end);
  }
}
