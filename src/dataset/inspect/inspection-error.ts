import { hasErrno } from '../errors.js';
import { MAX_IMAGE_PIXELS } from '../media.js';
import type { ErrorProblemCode } from '../problems.js';

/** A fault in the bytes; `message` is the rest of a sentence. `inspect` returns it as the file's problem. */
export class InspectionError extends Error {
  readonly code: ErrorProblemCode;

  constructor(code: ErrorProblemCode, message: string) {
    super(message);
    this.name = 'InspectionError';
    this.code = code;
  }
}

/** Truncation or damage; `inspect` adds the code by the declared type. */
export class StructureError extends Error {
  override readonly name = 'StructureError';
}

export function damaged(reason: string, options?: ErrorOptions): StructureError {
  return new StructureError(`is damaged: ${reason}`, options);
}

export function truncation(reason: string): StructureError {
  return new StructureError(`is truncated: ${reason}`);
}

/** At least so many bytes are missing at the end. */
export function truncationBy(bytes: number): StructureError {
  return truncation(`at least ${formatCount(bytes)} ${bytes === 1 ? 'byte is' : 'bytes are'} missing at its end`);
}

/** `8,995` */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** The system's failures and missing code are not problems of the file. */
export function isInputOutputError(error: unknown): boolean {
  return error instanceof Error && ('syscall' in error || hasErrno(error, 'ERR_MODULE_NOT_FOUND'));
}

/** A decoder could not allocate memory. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory';
}

/** `inspect` throws it, since the caller knows the limit. */
export function isOutOfMemory(error: unknown): boolean {
  if (error instanceof OutOfMemory || hasErrno(error, 'ENOMEM', 'Z_MEM_ERROR', 'ERR_MEMORY_ALLOCATION_FAILED'))
    return true;
  return error instanceof RangeError && error.message.includes('allocation failed');
}

/** The last line, without paths and cut to 80 characters. */
export function shortReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n').findLast((each) => each.trim() !== '') ?? 'no reason given';
  const plain = line
    .replace(/(?:\/[^\s/:]+)+/g, '')
    .replace(/\s+/g, ' ')
    .replace(/^[\s:]+|\s+$/g, '');
  return plain.length > 80 ? `${plain.slice(0, 79)}…` : plain;
}

/** Rejects huge images before they are decoded. @throws InspectionError `IMAGE_TOO_LARGE`; StructureError if a side is zero */
export function checkDimensions(width: number, height: number): void {
  if (width < 1 || height < 1) throw damaged(`its header gives ${width}×${height} pixels`);
  if (width * height > MAX_IMAGE_PIXELS) {
    throw new InspectionError(
      'IMAGE_TOO_LARGE',
      `has ${formatCount(width)}×${formatCount(height)} pixels; the trainer opens at most ${formatCount(MAX_IMAGE_PIXELS)}. ` +
        'Scale it down and upload it again.',
    );
  }
}
