import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { COMMAND, eventually } from './server.js';
import { SETTINGS_FOLDER } from './settings-folder.js';

// `npm run fuzz` runs commands without Vitest, which removes the folder after each file.
process.once('exit', () => rmSync(SETTINGS_FOLDER, { recursive: true, force: true }));

export interface Ended {
  /** 128 where a signal ended the process. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, parsed as the one JSON document of `--json`. */
  readonly json: () => ReturnType<typeof JSON.parse>;
}

export interface Running {
  readonly process: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<Ended>;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly input?: string | Buffer;
  /** The user id to run as; needs root. */
  readonly uid?: number;
  /** In a process group of its own, so that a test can kill it together with its children. */
  readonly detached?: boolean;
}

/** Standard error without a message. A command that takes over ten seconds, as on a busy machine, shows its progress. */
export const ONLY_PROGRESS = /^(?:[━╌]+ [^\n]+\n)*$/;

/** Starts the built command, without a terminal. */
export function startCommand(args: readonly string[], options: RunOptions = {}): Running {
  const { env = {}, input, ...rest } = options;
  const child = spawn(process.execPath, [COMMAND, ...args], {
    ...rest,
    env: { PATH: process.env.PATH, XDG_CONFIG_HOME: SETTINGS_FOLDER, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  // A command that does not read may end before it has been written to.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = once(child, 'close').then(([code]) => ({
    code: code ?? 128,
    stdout,
    stderr,
    json: () => JSON.parse(stdout),
  }));
  return { process: child, stdout: () => stdout, stderr: () => stderr, ended };
}

/** Runs the built command to its end. */
export function trainyard(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return startCommand(args, options).ended;
}

/** Kills a command that was started `detached`, and its children: a swap that outlives the command would still change the folder during the checks. */
export async function killGroup({ process: { pid }, ended }: Running): Promise<void> {
  const signal = (name: NodeJS.Signals | 0) => {
    try {
      return process.kill(-pid!, name);
    } catch {
      return false;
    }
  };
  signal('SIGKILL');
  await ended;
  await eventually(() => (signal(0) ? undefined : true));
}
