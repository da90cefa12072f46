/*
 * Reads WebP as Pillow does (11.1, through libwebp's `WebPAnimDecoder` and demuxer), which is stricter than the decoder
 * alone: each chunk must be complete and padded, and chunks inside a frame are read like those around it.
 */
import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { checkDimensions, type ImageHeader } from './image-header.js';
import { MAX_EXIF_BYTES, orientationOf } from './orientation.js';

const CHUNK_HEADER_BYTES = 8;
const RIFF_HEADER_BYTES = 12;
const CANVAS_BYTES = 10;
const ANIMATION_BYTES = 6;
const FRAME_HEADER_BYTES = 16;
/** Flags of the VP8X chunk (RFC 9649, section 2.7). */
const ANIMATION = 0x02;
const EXIF = 0x08;
const ALPHA = 0x10;
const KNOWN_FLAGS = 0x3e;

interface Chunk {
  readonly type: string;
  readonly start: number;
  readonly payload: number;
  /** Without the header and the padding byte. */
  readonly length: number;
  /** With the padding byte. */
  readonly end: number;
}

/** The coded pixels of a still image or of one animation frame. */
interface Bitstream {
  readonly width: number;
  readonly height: number;
  /** Memory of the decoder for each pixel. Lossy ones are scaled down row by row while they are decoded. */
  readonly bytesPerPixel: number;
}

interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly flags: number;
}

interface Frame {
  readonly hasAlpha: boolean;
  /** The alpha chunk follows the bitstream. */
  readonly isReversed: boolean;
  readonly bitstream: Bitstream | undefined;
  readonly end: number;
}

/**
 * Reads the chunks of a WebP file (RFC 9649), including those of animation frames, up to the length in its RIFF header.
 * Bytes after that are not part of the image.
 *
 * @throws StructureError, InspectionError
 */
export function readWebp(file: FileBytes): ImageHeader {
  const riffBytes = file.at(4, 4).readUInt32LE(0);
  const end = 8 + riffBytes;
  checkFirstDimensions(file);
  file.requireSize(end);
  const first = chunkAt(file, RIFF_HEADER_BYTES, end);
  if (first.type === 'VP8X') return extended(file, { first, end });
  if (first.type !== 'VP8 ' && first.type !== 'VP8L') throw new StructureError('is damaged: it contains no image');
  const { bitstream, end: frameEnd } = frameAt(file, { start: RIFF_HEADER_BYTES, end });
  requireWholeChunk(frameEnd, end);
  if (bitstream === undefined) throw new StructureError('is damaged: it contains no image');
  const { width, height, bytesPerPixel } = bitstream;
  // libvips maps the whole file.
  const decoderBytes = width * height * bytesPerPixel + file.size;
  return { width, height, orientation: 1, animated: false, decoderBytes };
}

/** A file that begins with a VP8X chunk: with transparency, metadata or an animation. */
function extended(file: FileBytes, { first, end }: { first: Chunk; end: number }): ImageHeader {
  const canvas = canvasOf(file, first);
  const isAnimation = (canvas.flags & ANIMATION) !== 0;
  let frames = 0;
  let bitstream: Bitstream | undefined;
  let animation: Chunk | undefined;
  let firstFrame: Chunk | undefined;
  const metadata = new Map<string, Chunk>();
  for (let offset = first.end; offset !== end; requireWholeChunk(offset, end)) {
    const chunk = chunkAt(file, offset, end);
    offset = chunk.end;
    if (chunk.type === 'VP8X') throw new StructureError('is damaged: it has two VP8X chunks');
    if (['ALPH', 'VP8 ', 'VP8L'].includes(chunk.type)) {
      if (isAnimation || animation !== undefined || frames > 0) {
        throw new StructureError('is damaged: it has pixels outside the frames of its animation');
      }
      const frame = frameAt(file, { start: chunk.start, end });
      offset = frame.end;
      bitstream = frame.bitstream;
      frames++;
      checkFrame(frame, { canvas, x: 0, y: 0, isExact: true });
    } else if (chunk.type === 'ANIM') {
      if (chunk.length < ANIMATION_BYTES - 1) throw new StructureError('is damaged: its ANIM chunk is too short');
      animation ??= chunk;
    } else if (chunk.type === 'ANMF') {
      if (animation === undefined) throw new StructureError('is damaged: a frame precedes the ANIM chunk');
      const frame = animationFrame(file, { chunk, canvas, end });
      offset = frame.end;
      if (!isAnimation || (frame.bitstream === undefined && !frame.hasAlpha)) continue;
      frames++;
      bitstream ??= frame.bitstream;
      firstFrame ??= { ...chunk, end: frame.end };
    } else if (!metadata.has(chunk.type)) metadata.set(chunk.type, chunk);
  }
  if (bitstream === undefined) throw new StructureError('is damaged: it contains no image');
  const exif = (canvas.flags & EXIF) === 0 ? undefined : metadata.get('EXIF');
  const orientation = exif === undefined ? 1 : orientationOf(payloadOf(file, exif));
  const { width, height } = canvas;
  // libwebp holds two canvases while it draws the first frame of an animation.
  const bytesPerPixel = isAnimation ? 12 : bitstream.bytesPerPixel + 1.5;
  const header = { width, height, orientation, animated: frames > 1 };
  if (frames === 1) return { ...header, decoderBytes: width * height * bytesPerPixel + file.size };
  const parts = [first, metadata.get('ICCP'), animation, firstFrame, exif].filter((part) => part !== undefined);
  const partBytes = parts.reduce((sum, part) => sum + part.end - part.start, 0);
  const decoderBytes = width * height * bytesPerPixel + partBytes;
  return { ...header, decoderBytes, firstFrame: () => fileOf(file, parts) };
}

/** A WebP file of some chunks of another one. Of an animation with one frame, libwebp doesn't walk the others. */
function fileOf(file: FileBytes, parts: readonly Chunk[]): Buffer {
  const chunks = Buffer.concat(parts.map(({ start, end }) => file.copy(start, end)));
  const header = Buffer.from('RIFF\0\0\0\0WEBP', 'latin1');
  header.writeUInt32LE(chunks.length + 4, 4);
  return Buffer.concat([header, chunks]);
}

/** Reports an image that is too large as that, even if it is truncated too. */
function checkFirstDimensions(file: FileBytes): void {
  if (file.size < 30) return;
  const type = file.at(12, 4).toString('latin1');
  if (type === 'VP8X') {
    const bytes = file.at(20, CANVAS_BYTES);
    checkDimensions(1 + bytes.readUIntLE(4, 3), 1 + bytes.readUIntLE(7, 3));
  } else if (type === 'VP8 ' || type === 'VP8L') {
    const { width, height } = type === 'VP8 ' ? lossyOf(file.at(20, 10)) : losslessOf(file.at(20, 5));
    checkDimensions(width, height);
  }
}

function canvasOf(file: FileBytes, chunk: Chunk): Canvas {
  if (chunk.length !== CANVAS_BYTES) throw new StructureError('is damaged: its VP8X chunk has an invalid length');
  const bytes = file.at(chunk.payload, CANVAS_BYTES);
  const flags = bytes[0] ?? 0;
  if ((flags & ~KNOWN_FLAGS) !== 0) throw new StructureError('is damaged: its VP8X chunk has invalid flags');
  return { width: 1 + bytes.readUIntLE(4, 3), height: 1 + bytes.readUIntLE(7, 3), flags };
}

/** A frame of an animation, which the chunks right after its header belong to. */
function animationFrame(file: FileBytes, { chunk, canvas, end }: { chunk: Chunk; canvas: Canvas; end: number }): Frame {
  if (chunk.length < FRAME_HEADER_BYTES - 1) throw new StructureError('is damaged: a frame header is too short');
  const header = file.at(chunk.payload, 6);
  const [x, y] = [2 * header.readUIntLE(0, 3), 2 * header.readUIntLE(3, 3)];
  const start = chunk.payload + FRAME_HEADER_BYTES;
  if (end - start < CHUNK_HEADER_BYTES) throw new StructureError('is damaged: its last frame has no pixels');
  const frame = frameAt(file, { start, end });
  if (frame.end > chunk.end) throw new StructureError('is damaged: the pixels of a frame end after the frame');
  if (frame.bitstream !== undefined || frame.hasAlpha) checkFrame(frame, { canvas, x, y, isExact: false });
  return frame;
}

/** The pixels at `start`: an alpha chunk and a bitstream, up to the first chunk that is neither. */
function frameAt(file: FileBytes, { start, end }: { start: number; end: number }): Frame {
  let alpha: Chunk | undefined;
  let image: Chunk | undefined;
  let bitstream: Bitstream | undefined;
  let offset = start;
  while (offset !== end) {
    requireWholeChunk(offset, end);
    const chunk = chunkAt(file, offset, end);
    if (chunk.type === 'ALPH' && alpha === undefined) alpha = chunk;
    else if ((chunk.type === 'VP8 ' || chunk.type === 'VP8L') && image === undefined) {
      if (chunk.type === 'VP8L' && alpha !== undefined) {
        throw new StructureError('is damaged: it has transparency in two ways');
      }
      image = chunk;
      bitstream = bitstreamOf(file, chunk);
    } else break;
    offset = chunk.end;
  }
  const isReversed = image !== undefined && alpha !== undefined && alpha.start > image.start;
  return { hasAlpha: alpha !== undefined, isReversed, bitstream, end: offset };
}

function checkFrame(
  { bitstream, isReversed }: Frame,
  on: { canvas: Canvas; x: number; y: number; isExact: boolean },
): void {
  // Without the flag, libwebp ignores the transparency of a still image.
  if (isReversed && (!on.isExact || (on.canvas.flags & ALPHA) !== 0)) {
    throw new StructureError('is damaged: the transparency of a frame follows its pixels');
  }
  if (bitstream === undefined) throw new StructureError('is damaged: a frame has transparency, but no pixels');
  const { width, height } = bitstream;
  const isInside = on.x + width <= on.canvas.width && on.y + height <= on.canvas.height;
  const fits = on.isExact ? width === on.canvas.width && height === on.canvas.height : isInside;
  if (!fits) throw new StructureError('is damaged: its pixels do not fit the dimensions in its header');
}

function bitstreamOf(file: FileBytes, chunk: Chunk): Bitstream {
  const isLossy = chunk.type === 'VP8 ';
  if (chunk.length < (isLossy ? 10 : 5)) throw invalidStart();
  const bitstream = isLossy ? lossyOf(file.at(chunk.payload, 10)) : losslessOf(file.at(chunk.payload, 5));
  if (isLossy) checkKeyFrame(file.at(chunk.payload, 3).readUIntLE(0, 3), chunk.length);
  checkDimensions(bitstream.width, bitstream.height);
  return bitstream;
}

/** RFC 6386, section 9.1: a key frame's start code, then two 14-bit sides. */
function lossyOf(header: Buffer): Bitstream {
  if (header.readUIntBE(3, 3) !== 0x9d012a) throw invalidStart();
  return { width: header.readUInt16LE(6) & 0x3fff, height: header.readUInt16LE(8) & 0x3fff, bytesPerPixel: 0 };
}

/** A visible key frame of a known version, with a first partition that lies inside its chunk. */
function checkKeyFrame(tag: number, chunkBytes: number): void {
  const isKeyFrame = (tag & 1) === 0 && ((tag >> 1) & 7) <= 3 && ((tag >> 4) & 1) === 1;
  if (!isKeyFrame || tag >> 5 >= chunkBytes) throw invalidStart();
}

/** RFC 9649, section 3.4: a signature byte, then two 14-bit sides less one. libwebp holds all pixels as ARGB. */
function losslessOf(header: Buffer): Bitstream {
  const bits = header.readUInt32LE(1);
  if (header[0] !== 0x2f || bits >>> 29 !== 0) throw invalidStart();
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff), bytesPerPixel: 4.2 };
}

function invalidStart(): StructureError {
  return new StructureError('is damaged: its pixels do not begin with a WebP header');
}

function payloadOf(file: FileBytes, chunk: Chunk): Buffer {
  return Buffer.from(file.copy(chunk.payload, chunk.payload + Math.min(chunk.length, MAX_EXIF_BYTES)));
}

/** The chunk at `start`, padded to an even length. @throws StructureError if it ends after the image */
function chunkAt(file: FileBytes, start: number, end: number): Chunk {
  const header = file.at(start, CHUNK_HEADER_BYTES);
  const [type, length] = [header.toString('latin1', 0, 4), header.readUInt32LE(4)];
  const payload = start + CHUNK_HEADER_BYTES;
  const chunk = { type, start, payload, length, end: payload + length + (length & 1) };
  if (chunk.end > end) throw new StructureError(`is damaged: the chunk at byte ${start} ends after the image`);
  return chunk;
}

function requireWholeChunk(offset: number, end: number): void {
  if (offset !== end && end - offset < CHUNK_HEADER_BYTES) {
    throw new StructureError('is damaged: its last chunk is incomplete');
  }
}
