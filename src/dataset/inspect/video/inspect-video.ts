import { mediaTypeOf, mediaTypeOfContent, type VideoFormat } from '../../media.js';
import { warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers, type DetectedContent } from '../detect-content.js';
import { InspectionError, truncationBy } from '../inspection-error.js';
import type { FileToInspect, Inspection } from '../inspection.js';

/** The frames are decoded elsewhere (`service/inspection/clip`); a warning says so until then. @throws InspectionError, StructureError */
export async function inspectVideo(
  file: FileBytes,
  named: FileToInspect,
  content: DetectedContent,
): Promise<Inspection> {
  const { filename, shown, readClipFacts } = named;
  if (content.kind !== 'video') {
    const message = `is ${content.description}, not a video. Upload the video itself under this name.`;
    throw new InspectionError('NOT_A_VIDEO', message);
  }
  const { format } = content;
  requireDeclaredLength(file, format);
  const facts = await readClipFacts?.(file);
  const advice = 'To have every frame checked, install ffmpeg on the machine that checks it.';
  const message = `The frames of ${shown} were not decoded. ${advice}`;
  return {
    ok: true,
    contentType: mediaTypeOfContent(format, filename).contentType,
    facts: { kind: 'video', format, ...facts },
    warnings: [
      ...(mediaTypeOf(filename)?.format === format ? [] : [contentDiffers(named, content)]),
      warningIn(filename, 'NOT_FULLY_CHECKED', message),
    ],
  };
}

/** An hour of video with a fragment for each frame has 220,000. */
const MAX_BOXES = 1_000_000;

/** Left by programs that write to a pipe. */
const UNKNOWN_RIFF_SIZES: readonly number[] = [0, 0xffffffff];

/**
 * Compares with the length in MP4, QuickTime, Matroska and AVI headers; other containers have none.
 *
 * @throws StructureError if the file is shorter, as after an interrupted copy
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

/** ISO/IEC 14496-12, 4.2. Bytes that begin no box, which some cameras append, don't count. */
function endOfBoxes(file: FileBytes): number {
  let start = 0;
  for (let boxes = 0; start + 8 <= file.size && boxes < MAX_BOXES; boxes++) {
    const header = file.at(start, 8);
    const size = header.readUInt32BE(0);
    const isBox = /^[\w\xa9 -]{4}$/.test(header.toString('latin1', 4, 8));
    // Size 0: the box ends with the file.
    if (!isBox || size === 0) return start;
    if (size === 1 && start + 16 > file.size) return start + 16;
    const bytes = size === 1 ? Number(file.at(start + 8, 8).readBigUInt64BE(0)) : size;
    if (bytes < 8) return start;
    start += bytes;
  }
  return start;
}

/** RFC 8794, section 4. 0 for the unknown size of live recorders. */
function endOfSegment(file: FileBytes): number {
  const header = sizedElement(file, 0);
  const segment = header && sizedElement(file, header.end);
  return segment?.id === 0x18538067 ? segment.end : 0;
}

/** Top-level elements have identifiers of four bytes. `undefined` for an unknown size. */
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
