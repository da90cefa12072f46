/*
 * The boxes of the ISO base media file format (ISO/IEC 14496-12, section 4.2): MP4, MOV, HEIC, AVIF. Read here, although
 * mediabunny reads MP4 too: it does not report a box that ends after the file, and it reads neither HEIC nor AVIF.
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

const MAX_BOXES = 5_000_000;

/**
 * Yields the boxes between two offsets.
 *
 * @throws StructureError where a box ends after the range or after the file.
 */
export function* boxesOf(file: FileBytes, range: { start: number; end: number }): Generator<Box> {
  let boxes = 0;
  for (let start = range.start; start < range.end; ) {
    if (++boxes > MAX_BOXES) throw new StructureError('is damaged: it has millions of boxes');
    // QuickTime ends some containers with four zeros.
    if (range.end - start < 8 && range.end < file.size) return;
    const box = boxAt(file, { start, end: range.end });
    if (box === undefined) return;
    file.requireSize(box.end);
    if (box.end > range.end) throw new StructureError(`is damaged: ${nameOf(box)} is longer than the box around it`);
    yield box;
    start = box.end;
  }
}

/** `undefined` where zeros pad the rest of the range. */
function boxAt(file: FileBytes, range: { start: number; end: number }): Box | undefined {
  const { start } = range;
  const header = file.at(start, 8);
  const size = header.readUInt32BE(0);
  const type = header.toString('latin1', 4, 8);
  if (size === 0 && type === '\0\0\0\0') return undefined;
  if (size === 0) return { type, start, payload: start + 8, end: range.end }; // Extends to the end of the range.
  const isLarge = size === 1;
  const bytes = isLarge ? Number(file.at(start + 8, 8).readBigUInt64BE(0)) : size;
  const payload = start + (isLarge ? 16 : 8);
  if (bytes < payload - start) {
    throw new StructureError(`is damaged: the box at byte ${start} is smaller than its own header`);
  }
  return { type, start, payload, end: start + bytes };
}

function nameOf({ type, start }: Box): string {
  return /^[\x20-\x7e]{4}$/.test(type) ? `its ${type.trim()} box` : `the box at byte ${start}`;
}

export function firstBox(file: FileBytes, parent: { payload: number; end: number }, type: string): Box | undefined {
  for (const box of boxesOf(file, { start: parent.payload, end: parent.end })) if (box.type === type) return box;
  return undefined;
}
