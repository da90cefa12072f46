import { createInterface } from 'node:readline/promises';
import { addAbortSignal, PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { CommandError, EXIT } from './exit-codes.js';
import { printableLines } from './text.js';

export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks unless `--yes` is given. @throws CommandError with 64 without a terminal, or with `--json` */
export async function isConfirmed(
  { yes, json }: { readonly yes?: boolean; readonly json?: boolean },
  { what, question, signal }: { what: string; question: string; signal: AbortSignal },
): Promise<boolean> {
  if (yes) return true;
  if (!json && canAsk()) return confirms(question, signal);
  const message = `${what} needs your confirmation on a terminal. To do it without, add --yes.`;
  throw new CommandError(EXIT.usage, message);
}

/** Only `y` and `yes` mean yes. @throws the signal's reason */
export async function confirms(question: string, signal: AbortSignal): Promise<boolean> {
  return withLines(signal, async (ask) => /^y(es)?$/i.test(await ask(`${question} [y/N] `)));
}

/** Asks until a choice is named, or its first letter. @throws the signal's reason */
export async function choose<T extends string>(
  question: string,
  choices: readonly T[],
  signal: AbortSignal,
): Promise<T> {
  return withLines(signal, async (ask) => {
    for (;;) {
      const answer = (await ask(`${question} [${choices.join('/')}] `)).toLowerCase();
      const chosen = choices.find((choice) => answer !== '' && (answer === choice || answer === choice[0]));
      if (chosen !== undefined) return chosen;
    }
  });
}

/** Asks without an echo. @throws the signal's reason */
export async function askSecret(prompt: string, signal: AbortSignal): Promise<string> {
  process.stderr.write(prompt);
  try {
    return await withLines(signal, (ask) => ask(''), { output: new PassThrough().resume() });
  } finally {
    process.stderr.write('\n');
  }
}

async function withLines<T>(
  signal: AbortSignal,
  work: (ask: (prompt: string) => Promise<string>) => Promise<T>,
  { output = process.stderr }: { output?: NodeJS.WritableStream } = {},
): Promise<T> {
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  try {
    // In raw mode ctrl-C is a key and sends no signal.
    lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    return await work(async (prompt) => (await lines.question(printableLines(prompt), { signal })).trim());
  } finally {
    lines.close();
  }
}

/** @throws AbortError once the signal aborts */
export async function readInput(signal: AbortSignal): Promise<string> {
  return (await text(addAbortSignal(signal, process.stdin))).trim();
}
