import type { VideoFormat } from '../../media.js';
import type { FileBytes } from '../byte-source.js';
import { truncationBy } from '../inspection-error.js';

/** In one file. An hour of video with a fragment for each frame has 220,000. */
const MAX_BOXES = 1_000_000;

/** A program that writes to a pipe can't fill in the size of a RIFF file, and leaves one of these. */
const UNKNOWN_RIFF_SIZES: readonly number[] = [0, 0xffffffff];

/**
 * Compares the length of a file with the length in its own headers: the boxes of MP4 and QuickTime, the segment of Matroska, the
 * RIFF header of AVI. The other containers have none.
 *
 * @throws StructureError if the file is shorter, as after an interrupted upload, download or copy
 */
export function requireDeclaredLength(file: FileBytes, format: VideoFormat): void {
  const end = declaredEnd(file, format);
  if (end > file.size) throw truncationBy(end - file.size);
}

function declaredEnd(file: FileBytes, format: VideoFormat): number {
  switch (format) {
    case 'mp4':
    case 'mov':
      return endOfBoxes(file.cursor(4096));
    case 'webm':
    case 'mkv':
      return endOfSegment(file);
    case 'avi':
      return endOfRiff(file);
    case 'wmv':
    case 'flv':
      return 0;
  }
}

/** The end of the last box (ISO/IEC 14496-12, 4.2). Bytes that begin no box, which some cameras append, don't count. */
function endOfBoxes(file: FileBytes): number {
  let start = 0;
  for (let boxes = 0; start + 8 <= file.size && boxes < MAX_BOXES; boxes++) {
    const header = file.at(start, 8);
    const size = header.readUInt32BE(0);
    const isBox = /^[\w\xa9 -]{4}$/.test(header.toString('latin1', 4, 8));
    // A size of 0: the box ends with the file.
    if (!isBox || size === 0) return start;
    if (size === 1 && start + 16 > file.size) return start + 16;
    const bytes = size === 1 ? Number(file.at(start + 8, 8).readBigUInt64BE(0)) : size;
    if (bytes < 8) return start;
    start += bytes;
  }
  return start;
}

/** The end of the segment after the EBML header (RFC 8794, section 4). 0 if its size is unknown, as of live recorders. */
function endOfSegment(file: FileBytes): number {
  const header = sizedElement(file, 0);
  const segment = header && sizedElement(file, header.end);
  return segment?.id === 0x18538067 ? segment.end : 0;
}

/** An element with an identifier of four bytes, as those at the top level are. `undefined` if its size is unknown. */
function sizedElement(file: FileBytes, start: number): { id: number; end: number } | undefined {
  if (start + 12 > file.size) return undefined;
  const bytes = file.at(start, 12);
  const length = Math.clz32(bytes[4] ?? 0) - 23;
  if (length > 8) return undefined;
  let size = (bytes[4] ?? 0) & (0xff >> length);
  let isUnknown = size === 0xff >> length;
  for (const byte of bytes.subarray(5, 4 + Math.min(length, 8))) {
    size = size * 256 + byte;
    isUnknown &&= byte === 0xff;
  }
  return isUnknown ? undefined : { id: bytes.readUInt32BE(0), end: start + 4 + length + size };
}

function endOfRiff(file: FileBytes): number {
  const size = file.at(0, 8).readUInt32LE(4);
  return UNKNOWN_RIFF_SIZES.includes(size) ? 0 : 8 + size;
}
