import { ServiceError } from '../dataset/errors.js';
import { TrainyardError } from '../http/client-error.js';

/** Exit codes as in sysexits.h (https://man.freebsd.org/sysexits), so that scripts can tell what happened. */
export const EXIT = {
  /** The command did its work, and what it found is not good. */
  notFit: 1,
  usage: 64,
  dataError: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  ioError: 74,
  temporaryFailure: 75,
  noPermission: 77,
  configError: 78,
  interrupted: 130,
} as const;

/** An end with a message, thrown by commands and shown without a stack. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Ends the process with a message on standard error. */
export function fail(code: number, message: string): never {
  process.stderr.write(`trainyard: ${message}\n`);
  process.exit(code);
}

/** How a command ends that threw: the exit code, and what to tell. */
export function endingOf(error: unknown): { code: number; message: string } {
  if (error instanceof CommandError) return { code: error.exitCode, message: error.message };
  if (error instanceof TrainyardError) return { code: exitCodeOf(error.status), message: error.message };
  if (error instanceof ServiceError) return { code: EXIT.dataError, message: error.message };
  if (error instanceof DOMException && error.name === 'AbortError')
    return { code: EXIT.interrupted, message: 'stopped' };
  // What fetch throws where there was no answer; its cause has the operating system's words.
  if (error instanceof TypeError && error.message === 'fetch failed') {
    const { cause } = error;
    const reason = cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : '';
    return { code: EXIT.unavailable, message: `the service does not answer: ${reason}` };
  }
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return { code: EXIT.ioError, message: error.message };
  }
  return { code: EXIT.software, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function exitCodeOf(status: number): number {
  if (status === 401 || status === 403) return EXIT.noPermission;
  if (status === 404) return EXIT.noInput;
  return status === 429 || status >= 500 ? EXIT.temporaryFailure : EXIT.dataError;
}
