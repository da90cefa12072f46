import type { FileBytes } from '../byte-source.js';
import { checkDimensions, damaged } from '../inspection-error.js';
import type { ImageHeader } from '../inspection.js';
import { MAX_EXIF_BYTES, orientationOf } from './exif.js';

const FIRST_CHUNK = 12;
const CHUNK_HEADER_BYTES = 8;
/** RFC 9649, section 2.7. */
const ANIMATION = 0x02;
const EXIF = 0x08;
/** libwebp's memory for a pixel of a lossless image, of transparency, and of an animation's two canvases. */
const LOSSLESS_BYTES = 4.2;
const ALPHA_BYTES = 1.5;
const ANIMATION_BYTES = 12;

/** RFC 9649. Bytes after the RIFF length are ignored, and a decoder proves the chunks. @throws StructureError, InspectionError */
export function readWebp(file: FileBytes): ImageHeader {
  const { width, height, flags } = canvasOf(file);
  checkDimensions(width, height);
  const end = 8 + file.at(4, 4).readUInt32LE(0);
  file.requireSize(end);
  let orientation: number | undefined;
  let frames = 0;
  const types = new Set<string>();
  for (let start = FIRST_CHUNK; start !== end; ) {
    if (end - start < CHUNK_HEADER_BYTES) throw damaged('its last chunk is incomplete');
    const header = file.at(start, CHUNK_HEADER_BYTES);
    const [type, length] = [header.toString('latin1', 0, 4), header.readUInt32LE(4)];
    const payload = start + CHUNK_HEADER_BYTES;
    const next = payload + length + (length & 1);
    if (next > end) throw damaged(`the chunk at byte ${start} ends after the image`);
    types.add(type);
    if (type === 'ANMF') frames++;
    if (type === 'EXIF' && (flags & EXIF) !== 0)
      orientation ??= orientationOf(file.copy(payload, payload + Math.min(length, MAX_EXIF_BYTES)));
    start = next;
  }
  const isAnimation = (flags & ANIMATION) !== 0;
  // Lossy images are scaled down while they are decoded.
  const stillBytes = (types.has('VP8L') ? LOSSLESS_BYTES : 0) + (types.has('VP8X') ? ALPHA_BYTES : 0);
  // libvips maps the whole file.
  const decoderBytes = width * height * (isAnimation ? ANIMATION_BYTES : stillBytes) + file.size;
  return { width, height, orientation: orientation ?? 1, animated: isAnimation && frames > 1, decoderBytes };
}

function canvasOf(file: FileBytes): { width: number; height: number; flags: number } {
  const type = file.at(FIRST_CHUNK, 4).toString('latin1');
  const start = FIRST_CHUNK + CHUNK_HEADER_BYTES;
  if (type === 'VP8X') {
    const bytes = file.at(start, 10);
    return { width: 1 + bytes.readUIntLE(4, 3), height: 1 + bytes.readUIntLE(7, 3), flags: bytes[0] ?? 0 };
  }
  // RFC 6386, section 9.1: a key frame's start code, then two 14-bit sides.
  if (type === 'VP8 ') {
    const bytes = file.at(start, 10);
    return { width: bytes.readUInt16LE(6) & 0x3fff, height: bytes.readUInt16LE(8) & 0x3fff, flags: 0 };
  }
  if (type !== 'VP8L') throw damaged('it contains no image');
  // RFC 9649, section 3.4: a signature byte, then two 14-bit sides less one.
  const bits = file.at(start, 5).readUInt32LE(1);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff), flags: 0 };
}
