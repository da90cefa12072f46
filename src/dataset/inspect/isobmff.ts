import type { FileBytes } from './byte-source.js';
import { StructureError, truncated } from './inspection-error.js';

export interface Box {
  readonly type: string;
  /** Where its header begins, its payload begins, and it ends, in bytes from the start of the file. */
  readonly start: number;
  readonly payload: number;
  readonly end: number;
}

const MOST_BOXES = 5_000_000;

/**
 * The boxes between two offsets of a file of the ISO base media family (ISO/IEC 14496-12, section 4.2): MP4, MOV, HEIC,
 * AVIF.
 *
 * @throws Damage where a box does not fit, which is how a cut shows.
 */
export function* boxesOf(file: FileBytes, range: { start: number; end: number }): Generator<Box> {
  let boxes = 0;
  for (let start = range.start; start < range.end; ) {
    if (++boxes > MOST_BOXES) throw new StructureError('is damaged: it has millions of boxes');
    if (range.end - start < 8) {
      if (range.end < file.size) return; // QuickTime ends some containers with four zeros.
      throw truncated({ needed: start + 8, size: file.size, what: 'a box of it' });
    }
    const box = boxAt(file, { start, end: range.end });
    if (box === undefined) return;
    if (box.end > range.end) throw truncated({ needed: box.end, size: range.end, what: `its ${named(box.type)}` });
    yield box;
    start = box.end;
  }
}

/** `undefined` where zeros pad the rest. */
function boxAt(file: FileBytes, range: { start: number; end: number }): Box | undefined {
  const { start } = range;
  const header = file.at(start, 8, 'a box of it');
  const size = header.readUInt32BE(0);
  const type = header.toString('latin1', 4, 8);
  if (size === 0 && type === '\0\0\0\0') return undefined;
  if (size === 0) return { type, start, payload: start + 8, end: range.end }; // To the end of what contains it.
  const long = size === 1;
  const bytes = long ? Number(file.at(start + 8, 8, 'a box of it').readBigUInt64BE(0)) : size;
  const payload = start + (long ? 16 : 8);
  if (bytes < payload - start)
    throw new StructureError(`is damaged: byte ${start} begins a box that is smaller than its header`);
  return { type, start, payload, end: start + bytes };
}

function named(type: string): string {
  return /^[\x20-\x7e]{4}$/.test(type) ? `${type.trim()} box` : 'last box';
}

export function firstBox(file: FileBytes, parent: { payload: number; end: number }, type: string): Box | undefined {
  for (const box of boxesOf(file, { start: parent.payload, end: parent.end })) if (box.type === type) return box;
  return undefined;
}
