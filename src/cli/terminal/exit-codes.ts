import { writeSync } from 'node:fs';
import { CommanderError } from 'commander';
import { TrainyardError } from '../../client/trainyard-error.js';
import { ServiceError } from '../../dataset/errors.js';
import { MountError, type MountErrorCode } from '../../service/mount/mount-source.js';
import {
  BackendUnusable,
  isBusy,
  isDamaged,
  isRejected,
  isUnavailable,
  sqliteCodeOf,
} from '../../storage/backend-unusable.js';
import { UnreadableFile } from '../../storage/regular-file.js';
import { printJson, printMessage } from './print.js';
import { printable } from './text.js';

/** Exit codes of sysexits.h (https://man.freebsd.org/sysexits). */
export const EXIT = {
  /** The command succeeded, but the files or the dataset are not fit to train on. */
  notFit: 1,
  usage: 64,
  dataError: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  ioError: 74,
  temporaryFailure: 75,
  protocol: 76,
  noPermission: 77,
  configError: 78,
  interrupted: 130,
  /** As a shell reports a program that SIGPIPE has ended. */
  closedPipe: 141,
} as const;

const MOUNT_EXIT: Record<MountErrorCode, number> = {
  not_ready: EXIT.temporaryFailure,
  failed: EXIT.dataError,
  digest_differs: EXIT.dataError,
  kind_missing: EXIT.dataError,
  occupied: EXIT.cannotCreate,
  changed: EXIT.cannotCreate,
  unstable: EXIT.temporaryFailure,
  damaged: EXIT.dataError,
  no_space: EXIT.ioError,
  cannot_link: EXIT.usage,
  cannot_write: EXIT.cannotCreate,
};

/** An error with an exit code and a message that is shown without a stack. */
export class CommandError extends Error {
  readonly exitCode: number;
  /** Further fields of the error for `--json`. */
  readonly details: Record<string, unknown>;

  constructor(exitCode: number, message: string, options: ErrorOptions & { details?: Record<string, unknown> } = {}) {
    super(message, options);
    this.exitCode = exitCode;
    this.details = options.details ?? {};
  }
}

/** Ends the process with a message on standard error. */
export function fail(code: number, message: string): never {
  printMessage(message);
  process.exit(code);
}

/** Ends the process after an error. With `--json`, prints one document `{"error": …}` on standard output, and no message. */
export function endWith(error: unknown, args: readonly string[]): never {
  const { code, message } = endingOf(error);
  if (code === 0 || !wantsJson(args)) {
    // Commander has printed its message already.
    if (error instanceof CommanderError) process.exit(code);
    fail(code, message);
  }
  printJson({ error: errorDocument(error) });
  process.exit(code);
}

/**
 * Ends the process when standard output or standard error can't be written: what the caller does not see must not count as done.
 * The reader of a pipe, such as `head`, may have ended.
 */
export function endUnwritable(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(EXIT.closedPipe);
  try {
    writeSync(process.stderr.fd, `trainyard: the output can't be written: ${error.message}\n`);
  } catch {
    // Standard error can't be written either.
  }
  process.exit(EXIT.ioError);
}

/** Whether the arguments of a command include `--json`. Arguments after `--` or after `mount --exec` don't count. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.findIndex((arg) => arg === '--' || arg === '--exec');
  return args.slice(0, end < 0 ? args.length : end).includes('--json');
}

/** The error document of `--json`: name and number of the exit code, message, and the service's code and detail. */
export function errorDocument(error: unknown): Record<string, unknown> {
  const { code, message } = endingOf(error);
  const name = Object.entries(EXIT).find(([, value]) => value === code)?.[0] ?? 'software';
  return {
    code: name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
    exit_code: code,
    message,
    ...(error instanceof CommandError && error.details),
    ...(error instanceof MountError && { reason: error.code.toUpperCase() }),
    ...(error instanceof TrainyardError && { error_code: error.errorCode, detail: error.detail }),
  };
}

/** The exit code and the message for an error of a command. */
export function endingOf(error: unknown): { code: number; message: string } {
  if (error instanceof CommanderError) {
    return { code: error.exitCode === 0 ? 0 : EXIT.usage, message: error.message.replace(/^error: /, '') };
  }
  if (error instanceof CommandError) return { code: error.exitCode, message: error.message };
  if (error instanceof TrainyardError) {
    // Another client uploads the same file at this moment.
    const code = error.code === 'link_withdrawn' ? EXIT.temporaryFailure : exitCodeOfStatus(error.status);
    return { code, message: printable(error.message) };
  }
  if (error instanceof MountError) return { code: MOUNT_EXIT[error.code], message: error.message };
  if (error instanceof ServiceError) return { code: exitCodeOfService(error), message: error.message };
  if (error instanceof UnreadableFile) {
    return { code: EXIT.cannotCreate, message: `${printable(error.message)}. Move it away.` };
  }
  if (isDamaged(error)) {
    return { code: EXIT.dataError, message: `the catalog is damaged: ${error.message}. Restore a backup.` };
  }
  if (sqliteCodeOf(error) !== undefined && error instanceof Error) {
    return {
      code: isBusy(error) ? EXIT.temporaryFailure : EXIT.ioError,
      message: `the catalog can't be used: ${error.message}`,
    };
  }
  if (error instanceof BackendUnusable) {
    return { code: error.isTemporary ? EXIT.temporaryFailure : EXIT.configError, message: error.message };
  }
  if (isRejected(error) || isUnavailable(error)) {
    const code = isRejected(error) ? EXIT.configError : EXIT.temporaryFailure;
    return { code, message: `the database can't be used: ${error.message}` };
  }
  // The AbortError of `fetch` is a DOMException, that of Node is not; both are Errors.
  if (error instanceof Error && error.name === 'AbortError') return { code: EXIT.interrupted, message: 'interrupted' };
  // `fetch` throws these if the answer is missing or incomplete; the cause has the message of the operating system.
  if (error instanceof TypeError && ['fetch failed', 'terminated'].includes(error.message)) {
    const { cause } = error;
    const reason = cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : '';
    return { code: EXIT.unavailable, message: `the service does not answer: ${reason}` };
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { code: EXIT.unavailable, message: 'the service does not answer: its answer takes too long' };
  }
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return { code: EXIT.ioError, message: error.message };
  }
  return { code: EXIT.software, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function exitCodeOfService({ code }: ServiceError): number {
  if (code === 'unavailable') return EXIT.temporaryFailure;
  if (code === 'revision_not_found') return EXIT.noInput;
  return code === 'no_space' ? EXIT.ioError : EXIT.dataError;
}

function exitCodeOfStatus(status: number): number {
  // A success or a redirection is an error only if it does not come from a dataset service.
  if (status < 400) return EXIT.protocol;
  if (status === 401 || status === 403) return EXIT.noPermission;
  if (status === 404) return EXIT.noInput;
  return status === 429 || status >= 500 ? EXIT.temporaryFailure : EXIT.dataError;
}

/** Runs `work` with a signal that ctrl-C and SIGTERM abort, so that it can clean up. A second one ends the process at once. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    abort.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work(abort.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}
