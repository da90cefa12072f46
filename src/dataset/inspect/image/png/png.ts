import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { checkDimensions, type ImageHeader } from '../image-header.js';
import { checkChecksum, pngChunkAt } from './png-chunks.js';
import { PngMetadata } from './png-metadata.js';

const PNG_SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const HEADER_BYTES = 13;
/** By the type of colour: grey, RGB, palette (which is decoded to RGBA), grey and alpha, RGBA. */
const DECODED_SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 4, 4: 2, 6: 4 };
/** Lines that libvips holds while it scales an image down, be it low or high, and while it decodes row after row. */
const LINES_HELD_SCALED = 1500;
const LINES_HELD = 512;

/**
 * Reads every chunk up to IEND and checks its CRC, so that a single flipped bit is found, and the limits that Pillow has and
 * libpng has not. Bytes after IEND are not part of the image. The pixels are for a decoder to prove.
 *
 * @throws StructureError, InspectionError
 */
export function readPng(file: FileBytes): ImageHeader {
  if (!file.at(0, 8).equals(PNG_SIGNATURE)) throw new StructureError('is damaged: its PNG signature is invalid');
  const first = pngChunkAt(file, 8);
  if (first.type !== 'IHDR' || first.length !== HEADER_BYTES) {
    throw new StructureError('is damaged: it does not begin with a PNG header');
  }
  const bytes = Buffer.from(file.at(first.payload, HEADER_BYTES));
  const [width, height] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  const [depth = 0, colour = 0, , , interlace = 0] = bytes.subarray(8);
  checkDimensions(width, height);
  const samples = DECODED_SAMPLES[colour];
  if (samples === undefined) throw new StructureError('is damaged: its PNG header is invalid');
  const { orientation, isAnimated } = readChunks(file, { width, height, colour });
  // libvips decodes low bit depths to a byte per sample, and holds an interlaced image until its last pass is decoded.
  const lineBytes = width * samples * (depth === 16 ? 2 : 1);
  const isInterlaced = interlace !== 0;
  const memory = {
    decoderBytes: lineBytes * (isInterlaced ? height : LINES_HELD_SCALED),
    rowsBytes: lineBytes * (isInterlaced ? height : Math.min(height, LINES_HELD)),
  };
  return { width, height, orientation, animated: isAnimated, ...memory };
}

function readChunks(file: FileBytes, picture: { width: number; height: number; colour: number }) {
  const metadata = new PngMetadata(picture);
  let hasPixels = false;
  let isRead = true;
  for (let offset = 8, type = ''; type !== 'IEND'; ) {
    const chunk = pngChunkAt(file, offset);
    type = chunk.type;
    // Real files lack a part of the last checksum, which protects no content.
    if (type === 'IEND' && chunk.length === 0 && file.size < chunk.end) break;
    checkChecksum(file, chunk);
    const isNamed = /^\w{4}$/.test(type);
    if (!isNamed && !hasPixels) throw new StructureError('is damaged: a chunk has no valid name');
    if (type === 'IDAT') {
      hasPixels = true;
      metadata.startPixels();
    }
    // Pillow reads no further than the first frame of an animation, or a chunk after the pixels that has no valid name.
    if ((type === 'fcTL' && metadata.isAnimated) || !isNamed) isRead = false;
    if (isRead) metadata.add(file, chunk);
    offset = chunk.end;
  }
  if (!hasPixels) throw new StructureError('is damaged: it has no pixels');
  return { orientation: metadata.orientation(), isAnimated: metadata.isAnimated };
}
