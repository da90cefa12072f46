import type { FileBytes } from '../../byte-source.js';
import { formatCount, StructureError } from '../../inspection-error.js';

/** Checks a frame from byte `start` of the file to, not including, byte `end`. @throws StructureError if it is damaged */
export type FrameCheck = (start: number, end: number) => void;

/** The error for a frame of which the first bytes, or the lengths in it, are not those of its codec. */
export function damagedFrame(file: FileBytes, start: number, end: number): StructureError {
  const head = file.upTo(start, Math.min(16, end - start));
  const found = head.every((byte) => byte === 0) ? 'zeros' : 'other data';
  return new StructureError(`is damaged: at byte ${formatCount(start)} it has ${found} instead of a frame`);
}
