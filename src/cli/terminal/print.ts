import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { styleText } from 'node:util';
import { shellWord, withCommand } from '../../command-line.js';
import { jsonText } from '../../json-text.js';
import { printable, printableLines, tableOf } from './text.js';

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

/** A line about a problem, with commands as they are called on this machine. */
export function problemLine(paint: Painter, mark: keyof typeof MARK_STYLES, message: string): string {
  return paint(MARK_STYLES[mark], `${mark} ${printable(withOwnCommand(message))}`);
}

const MARK_STYLES = { '✗': 'red', '!': 'yellow', '-': 'dim' } as const satisfies Record<string, Style>;

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

/** @param none the line in place of a table without rows, which may name a command */
export function tableLines<T>(items: readonly T[], none: string, columns: Columns<T>): string[] {
  if (items.length === 0) return [withOwnCommand(none)];
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
