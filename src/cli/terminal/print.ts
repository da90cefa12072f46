import { styleText } from 'node:util';

/** Colours text in one style. */
export type Painter = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string;

/** Colours text for a stream: only on a terminal, and not if `NO_COLOR` is set (https://no-color.org). */
export function painterOf(stream: NodeJS.WriteStream): Painter {
  const hasColours = stream.isTTY === true && stream.hasColors();
  return (style, text) => (hasColours ? styleText(style, text, { validateStream: false }) : text);
}

/** Prints one line on standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints the one document of `--json`. */
export function printJson(document: unknown): void {
  print(JSON.stringify(document, null, 2));
}
