/** Where a text stops being JSON, counted from 1 in code points. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

const SPACES = /[ \t\n\r]*/y;

/** RFC 8259: a text in quotes, another simple value, or a sign. */
const TOKEN =
  /"[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\0-\x1f]*)*"|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])|[{}[\],:]/y;

/** What is shown in place of a token. */
const FOUND = /[\w.+-]{1,24}|./suy;

const NAME = 'a name in double quotes';

/** The first fault of a text that should be JSON. `JSON.parse` decides; not every engine names the place. */
export function jsonFaultIn(text: string): JsonFault | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch {
    return firstFaultIn(text);
  }
}

function firstFaultIn(text: string): JsonFault {
  const open: number[] = [];
  let expected = 'a value';
  for (let at = 0; ; ) {
    at += matchAt(SPACES, text, at).length;
    const token = matchAt(TOKEN, text, at);
    const next = token === '' ? undefined : afterToken(token[0]!, { at, expected, open, text });
    if (next === undefined) return { ...placeOf(text, at), message: messageFor(text, { at, expected, open }) };
    expected = next;
    at += token.length;
  }
}

/** What may follow a token, or `undefined` if it may not stand there. @param state.open the places of the open brackets */
function afterToken(
  first: string,
  { at, expected, open, text }: { at: number; expected: string; open: number[]; text: string },
): string | undefined {
  if (first === ':') return expected === 'a colon' ? 'a value' : undefined;
  if (first === ',') return expected === ', or ]' ? 'a value' : expected === ', or }' ? NAME : undefined;
  if (expected.startsWith(NAME) && first === '"') return 'a colon';
  const isEnd = first === ']' || first === '}';
  if (isEnd ? !expected.endsWith(first) : !expected.startsWith('a value')) return undefined;
  if (first === '{' || first === '[') {
    open.push(at);
    return first === '{' ? `${NAME} or }` : 'a value or ]';
  }
  if (isEnd) open.pop();
  const bracket = text[open.at(-1) ?? text.length];
  return bracket === undefined ? 'the end' : bracket === '{' ? ', or }' : ', or ]';
}

function messageFor(text: string, state: { at: number; expected: string; open: readonly number[] }): string {
  const { at, expected, open } = state;
  const innermost = open.at(-1);
  if (at < text.length) {
    const isOpened = text[at] === '"' && /^a (value|name)/.test(expected);
    return isOpened
      ? 'this text is not closed in its line, or has a \\ that begins no escape (a line break is \\n, a backslash \\\\)'
      : `here stands ${matchAt(FOUND, text, at)} in place of ${expected}`;
  }
  if (innermost === undefined) return 'there is no value';
  return `the text ends, and the ${text[innermost]} in line ${placeOf(text, innermost).line} is never closed`;
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

function placeOf(text: string, at: number): { line: number; column: number } {
  const lines = text.slice(0, at).split(/\r\n|\r|\n/);
  return { line: lines.length, column: [...lines.at(-1)!].length + 1 };
}
