import type { FileBytes } from '../byte-source.js';
import { StructureError, truncated } from '../inspection-error.js';
import { type Chunk, riffChunksOf } from '../riff.js';
import { checkDimensions, type ImageHeader } from './image-header.js';
import { orientationOf } from './orientation.js';

const FRAME_HEADER_BYTES = 16;

interface Picture {
  readonly width: number;
  readonly height: number;
  /** What the decoder holds for each pixel. Lossy pictures are shrunk as they are decoded, row by row. */
  readonly bytesPerPixel: number;
}

/**
 * Walks the chunks of a WebP file (RFC 9649), those inside animation frames too, within the length its RIFF header
 * gives. What follows that length is no part of the image.
 *
 * @throws Damage, Fault
 */
export function readWebp(file: FileBytes): ImageHeader {
  const end = 8 + file.at(4, 4, 'its header').readUInt32LE(0);
  judgeFirstChunk(file);
  if (end > file.size) throw truncated({ needed: end, size: file.size, what: 'it' });
  let canvas: { width: number; height: number } | undefined;
  let frames = 0;
  let orientation = 1;
  let picture: Picture | undefined;
  for (const chunk of riffChunksOf(file, { start: 12, end })) {
    if (chunk.type === 'VP8X') canvas = canvasOf(file, chunk);
    else if (chunk.type === 'EXIF') orientation = orientationOf(file.at(chunk.payload, Math.min(chunk.length, 65_536)));
    else if (chunk.type === 'ANMF') {
      frames++;
      const inside = riffChunksOf(file, {
        start: chunk.payload + FRAME_HEADER_BYTES,
        end: chunk.payload + chunk.length,
      });
      const frame = pictureAmong(file, inside);
      if (frame === undefined) throw new StructureError('is damaged: a frame of its animation has no picture');
      picture ??= frame;
    } else picture ??= pictureAmong(file, [chunk]);
  }
  if (picture === undefined) throw new StructureError('is damaged: there is no picture in it');
  const { width, height } = canvas ?? picture;
  // An animation is composed on a canvas; two of them are held while the first frame is drawn.
  const bytesPerPixel = frames > 0 ? 12 : canvas === undefined ? picture.bytesPerPixel : picture.bytesPerPixel + 1.5;
  // libvips maps the whole file.
  const decoderBytes = width * height * bytesPerPixel + file.size;
  return { width, height, orientation, animated: frames > 1, decoderBytes };
}

/** A large claim is reported as that, even where the bytes for it are missing. */
function judgeFirstChunk(file: FileBytes): void {
  if (file.size < 30) return;
  const chunk = { type: file.at(12, 4).toString('latin1'), payload: 20, length: 10 };
  if (chunk.type === 'VP8X') canvasOf(file, chunk);
  else pictureAmong(file, [chunk]);
}

function canvasOf(file: FileBytes, chunk: Chunk): { width: number; height: number } {
  const bytes = file.at(chunk.payload, 10, 'its header');
  const canvas = { width: 1 + bytes.readUIntLE(4, 3), height: 1 + bytes.readUIntLE(7, 3) };
  checkDimensions(canvas.width, canvas.height);
  return canvas;
}

function pictureAmong(file: FileBytes, chunks: Iterable<Chunk>): Picture | undefined {
  let picture: Picture | undefined;
  for (const chunk of chunks) {
    if (chunk.type === 'VP8 ') picture ??= lossy(file.at(chunk.payload, 10, 'its header'));
    else if (chunk.type === 'VP8L') picture ??= lossless(file.at(chunk.payload, 5, 'its header'));
  }
  if (picture !== undefined) checkDimensions(picture.width, picture.height);
  return picture;
}

/** RFC 6386, section 9.1: a key frame's start code, then two 14-bit sides. */
function lossy(header: Buffer): Picture {
  if (header.readUIntBE(3, 3) !== 0x9d012a)
    throw new StructureError('is damaged: its picture does not begin as WebP does');
  return { width: header.readUInt16LE(6) & 0x3fff, height: header.readUInt16LE(8) & 0x3fff, bytesPerPixel: 0 };
}

/** RFC 9649, section 3.4: a signature byte, then two 14-bit sides less one. The decoder holds all pixels as ARGB. */
function lossless(header: Buffer): Picture {
  if (header[0] !== 0x2f) throw new StructureError('is damaged: its picture does not begin as WebP does');
  const bits = header.readUInt32LE(1);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff), bytesPerPixel: 4.2 };
}
