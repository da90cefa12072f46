import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { styleText } from 'node:util';
import { shellWord, withCommand } from '../../command-line.js';
import { escapeOf, jsonText } from '../../json-text.js';

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

interface OwnCommand {
  readonly command: string;
  /** The package that a service serves, which has no commands of an installation. */
  readonly isRemote: boolean;
  /** The service whose package npx has fetched. */
  readonly serviceUrl?: string;
}

/** @param script the path of the program as it was called, also through npm's link */
export function ownCommandOf(script: string, environment: Record<string, string | undefined>): OwnCommand {
  const installed = { command: 'trainyard', isRemote: false };
  // `npm start` runs the file of a clone, where `npx trainyard` finds the package beside it and asks no registry.
  if (basename(script) !== 'trainyard') {
    return environment.npm_lifecycle_event === 'start' ? { ...installed, command: 'npx trainyard' } : installed;
  }
  const modules = dirname(dirname(script));
  if (basename(modules) !== 'node_modules') return installed;
  // A user and a password in the URL must not appear in messages.
  const source = npxPackages(dirname(modules))[0]?.replace(/^(https?:\/\/)[^/]*@/, '$1');
  if (source === undefined || !/\.tgz$|^https?:/.test(source)) return { ...installed, command: 'npx trainyard' };
  const [, serviceUrl] = /^(https?:.+)\/cli[^/]*\.tgz$/.exec(source) ?? [];
  const command = `npx --yes ${shellWord(source)}`;
  return { command, isRemote: /^https?:/.test(source), ...(serviceUrl !== undefined && { serviceUrl }) };
}

/** Only folders of npx's cache have a list of packages. */
function npxPackages(folder: string): readonly string[] {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      _npx?: { packages?: string[] };
    };
    return manifest._npx?.packages ?? [];
  } catch {
    return [];
  }
}

export const ownCommand = ownCommandOf(process.argv[1] ?? '', process.env);

/** Shows each command as it is called on this machine. */
export function withOwnCommand(text: string): string {
  return withCommand(text, ownCommand);
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export type Painter = (style: Style, text: string) => string;

/** Paints only on a terminal and without `NO_COLOR` (https://no-color.org). */
export function painterOf(stream: NodeJS.WriteStream): Painter {
  const isPainted = hasColours(stream);
  return (style, text) => (isPainted ? styleText(style, text, { validateStream: false }) : text);
}

function hasColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && stream.hasColors();
}

/** Prints lines without control characters, which a server, a dataset or a file name could contain. */
export function print(lines: string, stream: NodeJS.WriteStream = process.stdout): void {
  stream.write(`${printableLines(lines, { hasColours: hasColours(stream) })}\n`);
}

/** Prints on standard error, with commands as they are called on this machine. */
export function printMessage(message: string): void {
  print(`trainyard: ${withOwnCommand(message)}`, process.stderr);
}

export function printJson(document: unknown): void {
  print(jsonText(document, 2));
}

export interface Output {
  readonly lines: readonly string[];
  readonly document: unknown;
}

export function printOutput({ lines, document }: Output, isJson: boolean): void {
  if (isJson) printJson(document);
  else for (const line of lines) print(line);
}

/** By title, the text of a cell, also with control characters, or `[text, colour]`. */
type Columns<T> = Readonly<Record<string, (item: T) => string | readonly [string, Style]>>;

/** @param none the line in place of a table without rows */
export function tableLines<T>(items: readonly T[], none: string, columns: Columns<T>): string[] {
  if (items.length === 0) return [none];
  const paint = painterOf(process.stdout);
  const titles = Object.keys(columns).map((title) => [title.toUpperCase(), 'bold'] as const);
  const cells = [titles, ...items.map((item) => Object.values(columns).map((cellOf) => [cellOf(item)].flat()))];
  return tableOf(
    cells.map((row) => row.map(([text]) => printable(text ?? ''))),
    (text, { row, column }) => {
      const style = cells[row]?.[column]?.[1] as Style | undefined;
      return style === undefined ? text : paint(style, text);
    },
  );
}
