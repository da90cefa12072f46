import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { hasErrno } from '../../dataset/errors.js';
import { CommandError } from '../terminal/exit-codes.js';

/** As shells say it: found and not to be run, not found (POSIX, 2.8.2). */
const CANNOT_RUN = 126;
const NOT_FOUND = 127;

/** What a supervisor sends to the process that it started, and means for the one that does the work. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/**
 * Runs a command to its end in our place: with our standard streams, and with the signals that we are sent.
 *
 * @returns its exit code; 128 and the signal's number where a signal ended it
 * @throws CommandError with 127 or 126 where it can't be run
 */
export async function runInPlace([command = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals) => {
    // Ctrl-C reaches every process of the terminal's foreground group by itself; twice would be an order to hurry.
    const isFromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
    if (!isFromTerminal) child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } catch (error) {
    const isMissing = hasErrno(error, 'ENOENT');
    const reason = isMissing ? 'there is no such command' : error instanceof Error ? error.message : String(error);
    throw new CommandError(isMissing ? NOT_FOUND : CANNOT_RUN, `${command} can't be run: ${reason}`);
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}
