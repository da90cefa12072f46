import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { onTestFinished, type TestContext } from 'vitest';
import { COMMAND, eventually } from './server.js';

const run = promisify(execFile);

/** A real terminal (tmux) with a shell. */
interface Terminal {
  /** Runs the built command with these arguments, and `ended with CODE` after it. */
  readonly trainyard: (line: string) => Promise<void>;
  /** Types the text and presses Enter. */
  readonly answer: (text: string) => Promise<void>;
  /** Presses a key by tmux's name for it, such as `C-c`. */
  readonly press: (key: string) => Promise<void>;
  /** The screen since the last command was entered. */
  readonly screen: (options?: { colours: boolean }) => Promise<string>;
  /** Waits until the screen matches, and returns it. */
  readonly waitFor: (pattern: RegExp) => Promise<string>;
}

/** Skips the test where there is no tmux; in CI the test fails instead. */
export function needTerminal({ skip }: TestContext): void {
  if (spawnSync('tmux', ['-V']).status === 0) return;
  if (process.env.CI === 'true') throw new Error('tmux is not installed, and CI must not leave these tests out.');
  skip('tmux is not installed; it gives the real terminal that this test needs');
}

/** Opens a terminal of 100 columns and 30 rows, closed with the test. */
export async function openTerminal(env: Record<string, string>): Promise<Terminal> {
  const socket = `trainyard-${randomUUID()}`;
  const tmux = async (...args: string[]) => (await run('tmux', ['-L', socket, '-f', '/dev/null', ...args])).stdout;
  const variables = { PATH: process.env.PATH ?? '', PS1: '$ ', LANG: 'C.UTF-8', ...env };
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const shell = ['env', '-u', 'NO_COLOR', ...settings, 'sh'];
  await tmux('new-session', '-d', '-x', '100', '-y', '30', ...shell);
  onTestFinished(async () => void (await tmux('kill-server').catch(() => {})));
  let entered = '$ ';
  const screen = async ({ colours } = { colours: false }) => {
    const text = await tmux('capture-pane', '-p', '-J', '-S', '-200', ...(colours ? ['-e'] : []));
    const at = text.lastIndexOf(entered);
    return at < 0 ? '' : text.slice(at + entered.length);
  };
  const press = async (key: string) => void (await tmux('send-keys', key));
  const answer = async (text: string) => {
    await tmux('send-keys', '-l', text);
    await press('Enter');
  };
  let commands = 0;
  const trainyard = async (line: string) => {
    entered = `# ${++commands}`;
    await answer(`node '${COMMAND}' ${line}; echo "ended with $?" ${entered}`);
  };
  const waitFor = (pattern: RegExp) =>
    eventually(async () => {
      const text = await screen();
      return pattern.test(text) ? text : undefined;
    }).catch(async () => {
      throw new Error(`${pattern} never came on the screen:\n${await screen()}`);
    });
  // Text typed before the shell reads it would show twice.
  await eventually(async () => ((await tmux('capture-pane', '-p')).startsWith('$') ? true : undefined));
  return { trainyard, answer, press, screen, waitFor };
}
