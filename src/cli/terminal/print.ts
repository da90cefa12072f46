import { styleText } from 'node:util';
import { withOwnCommand } from './own-command.js';
import { jsonText } from '../../json-text.js';
import { printable, printableLines, tableOf } from './text.js';

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
