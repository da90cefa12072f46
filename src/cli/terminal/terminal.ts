import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';

type Stream = NodeJS.WriteStream | WriteStream;
type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** Colours text for a stream: on a terminal only, and not where `NO_COLOR` is set (https://no-color.org). */
export function painterOf(stream: Stream): (style: Style, text: string) => string {
  const hasColours = stream.isTTY === true && stream.hasColors();
  return (style, text) => (hasColours ? styleText(style, text, { validateStream: false }) : text);
}

/** Whether lines may be drawn over again. */
export function canRedraw(stream: Stream): boolean {
  return stream.isTTY === true && process.env.TERM !== 'dumb';
}

/** Text of others as it may stand on a terminal: what would move the cursor or clear the screen is spelled out. */
export function shown(text: string): string {
  return text.replace(/\p{Cc}|\p{Bidi_Control}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const DOUBLE_WIDTH =
  /^[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uff60]$/u;

/** How many columns a terminal takes for it. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (!ZERO_WIDTH.test(character)) width += DOUBLE_WIDTH.test(character) ? 2 : 1;
  }
  return width;
}

/** The text, cut at its end where it is wider than that many columns. */
export function fitted(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = '';
  for (const character of text) {
    if (widthOf(kept + character) >= columns) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Columns side by side, each as wide as its widest cell. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => widthOf(row[column] ?? ''))));
  const padded = (cell: string, column: number) =>
    cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell)));
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}

/** `1.2 MB`; in powers of ten, as disks and networks count. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${bytes === 1 ? 'byte' : units[unit]}`;
}

/** `1 file`, `1,200 files`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** Prints one line on standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints what `--json` promises: one document. */
export function printJson(document: unknown): void {
  print(JSON.stringify(document, null, 2));
}

/**
 * Gives `work` a signal that ctrl-C and SIGTERM fire, so that it ends in good order. A second ctrl-C does not wait for that.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = () => {
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work(abort.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}
