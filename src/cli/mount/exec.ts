import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { hasErrno } from '../../dataset/errors.js';
import { CommandError } from '../terminal/exit-codes.js';
import { errorMessage } from '../terminal/text.js';

/** The exit codes of shells: 126 for a command that can't be executed, 127 for one that is not found (POSIX, 2.8.2). */
const CANNOT_RUN = 126;
const NOT_FOUND = 127;

/** Signals that a supervisor sends to this process, but intends for the command. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/** Runs a command with the standard streams of this process. @returns its exit code. @throws CommandError with 127 or 126 */
export async function runInPlace([command = '', ...args]: readonly string[]): Promise<number> {
  const forward = (signal: NodeJS.Signals) => {
    // The terminal sends Ctrl-C to every process of the foreground group. Many programs abort at once on a second one.
    const isFromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
    if (!isFromTerminal) child.kill(signal);
  };
  // Before the command starts: a signal that comes as soon as it runs would end this process alone.
  for (const signal of FORWARDED) process.on(signal, forward);
  const child = spawn(command, args, { stdio: 'inherit' });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } catch (error) {
    const isMissing = hasErrno(error, 'ENOENT');
    const reason = isMissing ? 'command not found' : errorMessage(error);
    throw new CommandError(isMissing ? NOT_FOUND : CANNOT_RUN, `${command} can't be run: ${reason}`);
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}
