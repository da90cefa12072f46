/*
 * Reads the boxes of the ISO base media file format (ISO/IEC 14496-12, section 4.2): MP4, MOV, HEIC, AVIF.
 */
import type { FileBytes } from './byte-source.js';
import { StructureError } from './inspection-error.js';

export interface Box {
  readonly type: string;
  /** Offsets in the file. The header begins at `start`; `end` is the first byte after the box. */
  readonly start: number;
  readonly payload: number;
  readonly end: number;
}

/** The content of a box, or the whole file. */
export type BoxRange = Pick<Box, 'payload' | 'end'>;

/** In one parent. An hour of video with a fragment for each frame has 220,000. */
const MAX_BOXES = 1_000_000;

/** Yields the boxes in a box or a file. @throws StructureError if one ends after its parent or after the file */
export function* boxesOf(file: FileBytes, parent: BoxRange): Generator<Box> {
  let boxes = 0;
  for (let start = parent.payload; start < parent.end; ) {
    if (++boxes > MAX_BOXES) throw new StructureError('is damaged: it has a million boxes');
    // QuickTime ends some containers with four zeros.
    if (parent.end - start < 8 && parent.end < file.size) return;
    const box = boxAt(file, { start, end: parent.end });
    if (box === undefined) return;
    file.requireSize(box.end);
    if (box.end > parent.end) throw new StructureError(`is damaged: ${nameOf(box)} is longer than the box around it`);
    yield box;
    start = box.end;
  }
}

/** The box at `start`; `undefined` if zeros pad the rest of the range. */
function boxAt(file: FileBytes, range: { start: number; end: number }): Box | undefined {
  const { start } = range;
  const header = file.at(start, 8);
  const size = header.readUInt32BE(0);
  const type = header.toString('latin1', 4, 8);
  if (size === 0 && type === '\0\0\0\0') return undefined;
  if (size === 0) return { type, start, payload: start + 8, end: range.end }; // The box ends with its parent.
  const isLarge = size === 1;
  const bytes = isLarge ? uintAt(file, start + 8, 8) : size;
  const payload = start + (isLarge ? 16 : 8);
  if (bytes < payload - start) {
    throw new StructureError(`is damaged: the box at byte ${start} is smaller than its own header`);
  }
  return { type, start, payload, end: start + bytes };
}

function nameOf({ type, start }: Box): string {
  return /^[\x20-\x7e]{4}$/.test(type) ? `its ${type.trim()} box` : `the box at byte ${start}`;
}

export function firstBox(file: FileBytes, parent: BoxRange, type: string): Box | undefined {
  for (const box of boxesOf(file, parent)) if (box.type === type) return box;
  return undefined;
}

/** As `firstBox`. @throws StructureError if there is none */
export function requiredBox(file: FileBytes, parent: BoxRange, type: string): Box {
  const box = firstBox(file, parent, type);
  if (box === undefined) throw new StructureError(`is damaged: its ${type} box is missing`);
  return box;
}

/** Reads a number of 4 or 8 bytes. */
export function uintAt(file: FileBytes, offset: number, bytes: 4 | 8): number {
  const number = file.at(offset, bytes);
  return bytes === 8 ? Number(number.readBigUInt64BE(0)) : number.readUInt32BE(0);
}
