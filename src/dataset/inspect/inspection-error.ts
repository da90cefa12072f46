import { hasErrno } from '../errors.js';
import type { ErrorProblemCode } from '../problems.js';

/**
 * What a look at the bytes found wrong with a file. `message` is the rest of a sentence that begins with the file's
 * name: `is cut short: …`. Caught in `inspect.ts`, where it becomes a problem; it never leaves this folder.
 */
export class InspectionError extends Error {
  readonly code: ErrorProblemCode;

  constructor(code: ErrorProblemCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Fault';
    this.code = code;
  }
}

/**
 * A reason without a code, thrown by what reads structures that images and videos share. The caller knows which of the
 * two was wanted, and so which code it is.
 */
export class StructureError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Damage';
  }
}

/** The file ends before `needed` bytes: what remains of an upload, download or copy that was broken off. */
export function truncated(options: { needed: number; size: number; what: string }): StructureError {
  const missing = options.needed - options.size;
  return new StructureError(
    missing > 0
      ? `is cut short: ${options.what} needs at least ${formatCount(missing)} bytes more`
      : `is cut short: ${options.what}`,
  );
}

/** Digits in groups, as numbers stand in messages. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** True for failures of the disk rather than of the file: they reject, since the file may be perfectly good. */
export function isInputOutputError(error: unknown): boolean {
  return hasErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'EIO', 'ENOMEM', 'EMFILE', 'ENFILE', 'ESTALE', 'EBADF', 'EISDIR');
}

/** The last line of what a library said, its reason, without paths and short enough for a message. */
export function shortReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n').findLast((each) => each.trim() !== '') ?? 'no reason given';
  const plain = line
    .replace(/(?:\/[^\s/:]+)+/g, '')
    .replace(/\s+/g, ' ')
    .replace(/^[\s:]+|\s+$/g, '');
  return plain.length > 80 ? `${plain.slice(0, 79)}…` : plain;
}
