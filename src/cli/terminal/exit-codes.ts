import { writeSync } from 'node:fs';
import { CommanderError } from 'commander';
import { TrainyardError } from '../../client/answers.js';
import { ServiceError } from '../../dataset/errors.js';
import { MountError, type MountErrorCode } from '../../service/mount/mount-source.js';
import { BackendUnusable, type DatabaseFault, databaseFaultOf } from '../../storage/backend-unusable.js';
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
  /** What a shell reports after SIGPIPE. */
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

const SERVICE_EXIT: Partial<Record<ServiceError['code'], number>> = {
  unavailable: EXIT.temporaryFailure,
  revision_not_found: EXIT.noInput,
  no_space: EXIT.ioError,
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

/** Ends the process; with `--json` it prints a document `{"error": …}` instead of a message. */
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

/** Unwritten output must not count as success. The reader of a pipe, such as `head`, may have ended. */
export function endUnwritable(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(EXIT.closedPipe);
  try {
    writeSync(process.stderr.fd, `trainyard: the output can't be written: ${error.message}\n`);
  } catch {
    // Standard error can't be written either.
  }
  process.exit(EXIT.ioError);
}

/** Arguments after `--` or `mount --exec` don't count. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.findIndex((arg) => arg === '--' || arg === '--exec');
  return args.slice(0, end < 0 ? args.length : end).includes('--json');
}

/** The error document of `--json`. */
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

export function endingOf(error: unknown): { code: number; message: string } {
  if (!(error instanceof Error)) return { code: EXIT.software, message: String(error) };
  const [, code, message] = ENDINGS.find(([is]) => is(error)) ?? UNEXPECTED;
  return {
    code: typeof code === 'number' ? code : code(error as never),
    message: message === undefined ? error.message : message(error),
  };
}

/** Without a third part, the error's message stays. */
type Ending = readonly [
  is: (error: Error) => boolean,
  code: number | ((error: never) => number),
  message?: (error: Error) => string,
];

const UNEXPECTED: Ending = [() => true, EXIT.software, ({ stack, message }) => stack ?? message];

/** The first row that matches decides. */
const ENDINGS: readonly Ending[] = [
  [
    of(CommanderError),
    ({ exitCode }: CommanderError) => (exitCode === 0 ? 0 : EXIT.usage),
    ({ message }) => message.replace(/^error: /, ''),
  ],
  [of(CommandError), ({ exitCode }: CommandError) => exitCode],
  [of(TrainyardError), exitCodeOfAnswer, ({ message }) => printable(message)],
  [of(MountError), ({ code }: MountError) => MOUNT_EXIT[code]],
  [of(ServiceError), ({ code }: ServiceError) => SERVICE_EXIT[code] ?? EXIT.dataError],
  [isFault('damaged'), EXIT.dataError, ({ message }) => `the catalog is damaged: ${message}. Restore a backup.`],
  [isFault('busy'), EXIT.temporaryFailure, unusable('catalog')],
  [(error) => 'code' in error && error.code === 'ERR_SQLITE_ERROR', EXIT.ioError, unusable('catalog')],
  [of(BackendUnusable), (error: BackendUnusable) => (error.isTemporary ? EXIT.temporaryFailure : EXIT.configError)],
  [isFault('rejected'), EXIT.configError, unusable('database')],
  [isFault('unavailable', 'read_only', 'full'), EXIT.temporaryFailure, unusable('database')],
  [({ name }) => name === 'AbortError', EXIT.interrupted, () => 'interrupted'],
  [isOfFetch, EXIT.unavailable, ({ cause }) => `the service does not answer: ${reasonIn(cause)}`],
  [
    ({ name }) => name === 'TimeoutError',
    EXIT.unavailable,
    () => 'the service does not answer: its answer takes too long',
  ],
  [(error) => 'code' in error && 'syscall' in error, EXIT.ioError],
];

function of(type: abstract new (...args: never[]) => Error): (error: Error) => boolean {
  return (error) => error instanceof type;
}

function isFault(...faults: readonly DatabaseFault[]): (error: Error) => boolean {
  return (error) => faults.some((fault) => fault === databaseFaultOf(error));
}

function unusable(what: string): (error: Error) => string {
  return ({ message }) => `the ${what} can't be used: ${message}`;
}

/** `fetch` throws these if the answer is missing or incomplete. */
function isOfFetch(error: Error): boolean {
  return error instanceof TypeError && ['fetch failed', 'terminated'].includes(error.message);
}

function reasonIn(cause: unknown): string {
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : '';
}

function exitCodeOfAnswer({ code, status }: TrainyardError): number {
  // Another client is uploading this file.
  if (code === 'link_withdrawn') return EXIT.temporaryFailure;
  // Only something else than a dataset service answers with such an error.
  if (status < 400) return EXIT.protocol;
  if (status === 401 || status === 403) return EXIT.noPermission;
  if (status === 404) return EXIT.noInput;
  return status === 429 || status >= 500 ? EXIT.temporaryFailure : EXIT.dataError;
}

/** Ctrl-C and SIGTERM abort the signal, so that `work` can clean up; a second one ends the process at once. */
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
