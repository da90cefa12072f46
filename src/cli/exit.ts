/** Exit codes as in sysexits.h (https://man.freebsd.org/sysexits), so that scripts can tell what happened. */
export const EXIT = {
  dataError: 65,
  unavailable: 69,
  temporaryFailure: 75,
  configError: 78,
} as const;

/** Ends the process with a message on standard error. */
export function fail(code: number, message: string): never {
  process.stderr.write(`trainyard: ${message}\n`);
  process.exit(code);
}
