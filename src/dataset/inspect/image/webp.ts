import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { checkDimensions, type ImageHeader } from './image-header.js';
import { orientationOf } from './orientation.js';

const FRAME_HEADER_BYTES = 16;

interface Chunk {
  readonly type: string;
  readonly payload: number;
  readonly length: number;
}

/** The coded pixels of a still image or of one animation frame. */
interface Bitstream {
  readonly width: number;
  readonly height: number;
  /** Memory of the decoder for each pixel. Lossy ones are scaled down row by row while they are decoded. */
  readonly bytesPerPixel: number;
}

/**
 * Reads the chunks of a WebP file (RFC 9649), including those of animation frames, up to the length in its RIFF header.
 * Bytes after that are not part of the image.
 *
 * @throws StructureError, InspectionError
 */
export function readWebp(file: FileBytes): ImageHeader {
  const end = 8 + file.at(4, 4).readUInt32LE(0);
  checkFirstDimensions(file);
  file.requireSize(end);
  let canvas: { width: number; height: number } | undefined;
  let frames = 0;
  let orientation = 1;
  let bitstream: Bitstream | undefined;
  for (const chunk of chunksOf(file, { start: 12, end })) {
    if (chunk.type === 'VP8X') canvas = canvasOf(file, chunk);
    else if (chunk.type === 'EXIF') orientation = orientationOf(file.at(chunk.payload, Math.min(chunk.length, 65_536)));
    else if (chunk.type === 'ANMF') {
      frames++;
      const range = { start: chunk.payload + FRAME_HEADER_BYTES, end: chunk.payload + chunk.length };
      const frame = bitstreamOf(file, chunksOf(file, range));
      if (frame === undefined) throw new StructureError('is damaged: a frame of its animation has no pixels');
      bitstream ??= frame;
    } else bitstream ??= bitstreamOf(file, [chunk]);
  }
  if (bitstream === undefined) throw new StructureError('is damaged: it contains no image');
  const { width, height } = canvas ?? bitstream;
  // libwebp holds two canvases while it draws the first frame of an animation.
  const bytesPerPixel = frames > 0 ? 12 : bitstream.bytesPerPixel + (canvas === undefined ? 0 : 1.5);
  // libvips maps the whole file.
  const decoderBytes = width * height * bytesPerPixel + file.size;
  return { width, height, orientation, animated: frames > 1, decoderBytes };
}

/** Reports an image that is too large as that, even if it is truncated too. */
function checkFirstDimensions(file: FileBytes): void {
  if (file.size < 30) return;
  const chunk = { type: file.at(12, 4).toString('latin1'), payload: 20, length: 10 };
  if (chunk.type === 'VP8X') canvasOf(file, chunk);
  else bitstreamOf(file, [chunk]);
}

function canvasOf(file: FileBytes, chunk: Chunk): { width: number; height: number } {
  const bytes = file.at(chunk.payload, 10);
  const canvas = { width: 1 + bytes.readUIntLE(4, 3), height: 1 + bytes.readUIntLE(7, 3) };
  checkDimensions(canvas.width, canvas.height);
  return canvas;
}

function bitstreamOf(file: FileBytes, chunks: Iterable<Chunk>): Bitstream | undefined {
  let bitstream: Bitstream | undefined;
  for (const chunk of chunks) {
    if (chunk.type === 'VP8 ') bitstream ??= lossy(file.at(chunk.payload, 10));
    else if (chunk.type === 'VP8L') bitstream ??= lossless(file.at(chunk.payload, 5));
  }
  if (bitstream !== undefined) checkDimensions(bitstream.width, bitstream.height);
  return bitstream;
}

/** RFC 6386, section 9.1: a key frame's start code, then two 14-bit sides. */
function lossy(header: Buffer): Bitstream {
  if (header.readUIntBE(3, 3) !== 0x9d012a) throw invalidStart();
  return { width: header.readUInt16LE(6) & 0x3fff, height: header.readUInt16LE(8) & 0x3fff, bytesPerPixel: 0 };
}

/** RFC 9649, section 3.4: a signature byte, then two 14-bit sides less one. libwebp holds all pixels as ARGB. */
function lossless(header: Buffer): Bitstream {
  if (header[0] !== 0x2f) throw invalidStart();
  const bits = header.readUInt32LE(1);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff), bytesPerPixel: 4.2 };
}

function invalidStart(): StructureError {
  return new StructureError('is damaged: its pixels do not begin with a WebP header');
}

/** The chunks between two offsets of a RIFF file, each padded to an even length. @throws StructureError */
function* chunksOf(file: FileBytes, range: { start: number; end: number }): Generator<Chunk> {
  for (let offset = range.start; offset < range.end; ) {
    if (offset + 8 > range.end) return; // Too short for a chunk header: padding, which libwebp ignores too.
    const header = file.at(offset, 8);
    const chunk = { type: header.toString('latin1', 0, 4), payload: offset + 8, length: header.readUInt32LE(4) };
    const end = chunk.payload + chunk.length;
    file.requireSize(end);
    if (end > range.end) throw new StructureError(`is damaged: the chunk at byte ${offset} ends after the image`);
    yield chunk;
    offset = end + (chunk.length & 1);
  }
}
