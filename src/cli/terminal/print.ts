import { styleText } from 'node:util';
import { withOwnCommand } from './own-command.js';
import { jsonText } from '../../json-text.js';
import { printableLines } from './text.js';

/** Colours text in one style. */
export type Painter = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string;

/** Colours text for a stream: only on a terminal, and not if `NO_COLOR` is set (https://no-color.org). */
export function painterOf(stream: NodeJS.WriteStream): Painter {
  const isPainted = hasColours(stream);
  return (style, text) => (isPainted ? styleText(style, text, { validateStream: false }) : text);
}

function hasColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && stream.hasColors();
}

/*
 * All text that a server, a dataset or a file name may be part of is printed by these functions.
 */

/** Prints lines on a stream, standard output by default. */
export function print(lines: string, stream: NodeJS.WriteStream = process.stdout): void {
  stream.write(`${printableLines(lines, { hasColours: hasColours(stream) })}\n`);
}

/** Prints a message or a warning on standard error, with commands as they are called on this machine. */
export function printMessage(message: string): void {
  print(`trainyard: ${withOwnCommand(message)}`, process.stderr);
}

/** Prints the one document of `--json`. */
export function printJson(document: unknown): void {
  print(jsonText(document, 2));
}
