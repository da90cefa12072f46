import { hasErrno } from '../errors.js';
import type { ErrorProblemCode } from '../problems.js';

/**
 * A problem found in the bytes of a file. `message` is the rest of a sentence that begins with the file's name:
 * `is empty: …`. Thrown within this folder only: `inspect` returns it as a problem of the file.
 */
export class InspectionError extends Error {
  readonly code: ErrorProblemCode;

  constructor(code: ErrorProblemCode, message: string) {
    super(message);
    this.name = 'InspectionError';
    this.code = code;
  }
}

/**
 * A truncated or damaged file, reported without a code by the parsers of structures that images and videos share.
 * `inspect` adds the code by the type that the extension declares.
 */
export class StructureError extends Error {
  override readonly name = 'StructureError';
}

/** The error for a file that ends before its content, as after an interrupted upload, download or copy. */
export function truncation(reason: string): StructureError {
  return new StructureError(`is truncated: ${reason}`);
}

/** The error for a file that lacks at least `bytes` bytes at its end. */
export function truncationBy(bytes: number): StructureError {
  return truncation(`at least ${formatCount(bytes)} ${bytes === 1 ? 'byte is' : 'bytes are'} missing at its end`);
}

/** A number for a message, with its digits in groups: `8,995`. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** True for failures of the operating system, and for code that can't be loaded. They are not a problem of the file, so inspection throws them. */
export function isInputOutputError(error: unknown): boolean {
  return hasErrno(
    error,
    'ENOENT',
    'EACCES',
    'EPERM',
    'EIO',
    'ENOMEM',
    'EMFILE',
    'ENFILE',
    'ESTALE',
    'EBADF',
    'EISDIR',
    'ERR_MODULE_NOT_FOUND',
  );
}

/** A decoder could not allocate the memory that the file needs. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory';
}

/** True if an allocation failed, of ours or of a decoder. `inspect` throws this error, since the caller knows the limit. */
export function isOutOfMemory(error: unknown): boolean {
  if (error instanceof OutOfMemory || hasErrno(error, 'ENOMEM', 'Z_MEM_ERROR', 'ERR_MEMORY_ALLOCATION_FAILED'))
    return true;
  return error instanceof RangeError && error.message.includes('allocation failed');
}

/** The last line of a library's error message, without paths and cut to 80 characters. */
export function shortReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n').findLast((each) => each.trim() !== '') ?? 'no reason given';
  const plain = line
    .replace(/(?:\/[^\s/:]+)+/g, '')
    .replace(/\s+/g, ' ')
    .replace(/^[\s:]+|\s+$/g, '');
  return plain.length > 80 ? `${plain.slice(0, 79)}…` : plain;
}
