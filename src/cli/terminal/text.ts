import { escapeOf } from '../../json-text.js';

/** Characters that move the cursor, clear the screen, set the clipboard, or show a text in another order than it has. */
const UNSAFE = /\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/gu;

const MAX_PRINTED_LENGTH = 4096;

/** Makes a text from a server or a file name one line without control characters. */
export function printable(text: string): string {
  const isLong = text.length > MAX_PRINTED_LENGTH;
  return `${text.slice(0, MAX_PRINTED_LENGTH).replace(UNSAFE, escapeOf)}${isLong ? '…' : ''}`;
}

/** Keeps line ends, and with `hasColours` the colours of `painterOf`. */
export function printableLines(lines: string, { hasColours = false } = {}): string {
  const kept = hasColours ? /(\n|\u001b\[(?:[12]|22|3\d)m)/ : /(\n)/;
  return lines
    .split(kept)
    .map((part, index) => (index % 2 === 1 ? part : part.replace(UNSAFE, escapeOf)))
    .join('');
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const DOUBLE_WIDTH =
  /^[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uff60]$/u;

/** Columns on a terminal. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (!ZERO_WIDTH.test(character)) width += DOUBLE_WIDTH.test(character) ? 2 : 1;
  }
  return width;
}

export function truncated(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = '';
  for (const character of text) {
    if (widthOf(kept + character) >= columns) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Aligns cells in columns. @param paint colours a cell. @returns a line for each row */
export function tableOf(
  rows: readonly (readonly string[])[],
  paint: (cell: string, at: { row: number; column: number }) => string = (cell) => cell,
): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((width, row) => Math.max(width, widthOf(row[column] ?? '')), 0),
  );
  return rows.map((cells, row) => {
    const padded = cells.map((cell, column) => {
      return paint(cell, { row, column }) + ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell)));
    });
    return padded.join('  ').trimEnd();
  });
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

/** `2025-07-22 13:05`, of a time in ISO 8601. */
export function minuteOf(time: string): string {
  return time.slice(0, 'YYYY-MM-DDTHH:MM'.length).replace('T', ' ');
}

/** `2025-07-22 13:05:59`, of a time in ISO 8601. */
export function secondOf(time: string): string {
  return time.slice(0, 'YYYY-MM-DDTHH:MM:SS'.length).replace('T', ' ');
}
