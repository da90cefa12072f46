/** Where a text stops being JSON, counted from 1 in code points. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
  /** A sentence. */
  readonly message: string;
}

const SPACE = /[ \t\n\r]*/y;
const SIMPLE = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;
/** For the message. */
const FOUND = /[\w.+-]+|./suy;

type Expected =
  | 'a value'
  | 'a value or ]'
  | 'a name in double quotes'
  | 'a name in double quotes or }'
  | 'a colon'
  | 'the end';

/**
 * Finds the first fault of a text that should be JSON (RFC 8259). `JSON.parse` decides, and names the place in some engines and for
 * some faults only.
 */
export function jsonFaultIn(text: string): JsonFault | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch {
    return new FaultFinder(text).find();
  }
}

class FaultFinder {
  readonly #text: string;
  /** The brackets that are open, and where. */
  readonly #open: number[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  find(): JsonFault {
    let expected: Expected | ', or ]' | ', or }' = 'a value';
    for (;;) {
      this.#skip(SPACE);
      const sign = this.#text[this.#at];
      if (sign === undefined) return this.#atEnd();
      if ((sign === ']' || sign === '}') && expected.endsWith(sign)) {
        this.#open.pop();
        this.#at++;
        expected = this.#afterValue();
      } else if (expected === 'a colon' && sign === ':') {
        this.#at++;
        expected = 'a value';
      } else if (expected.startsWith(',') && sign === ',') {
        this.#at++;
        expected = expected === ', or ]' ? 'a value' : 'a name in double quotes';
      } else if (expected.startsWith('a value') && (sign === '{' || sign === '[')) {
        this.#open.push(this.#at++);
        expected = sign === '{' ? 'a name in double quotes or }' : 'a value or ]';
      } else if (expected.startsWith('a value') && sign !== '"' && this.#skip(SIMPLE)) {
        expected = this.#afterValue();
      } else if (/^a (value|name)/.test(expected) && sign === '"') {
        const fault = this.#string();
        if (fault !== undefined) return fault;
        expected = expected.startsWith('a name') ? 'a colon' : this.#afterValue();
      } else return this.#fault(`here stands ${this.#found()} in place of ${expected}`);
    }
  }

  #afterValue() {
    const open = this.#open.at(-1);
    return open === undefined ? 'the end' : this.#text[open] === '{' ? ', or }' : ', or ]';
  }

  #atEnd(): JsonFault {
    const open = this.#open.at(-1);
    if (open === undefined) return this.#fault('there is no value');
    return this.#fault(
      `the text ends, and the ${this.#text[open]} in line ${this.#placeOf(open).line} is never closed`,
    );
  }

  /** Skips a text in quotes. */
  #string(): JsonFault | undefined {
    const start = this.#at++;
    for (; this.#text[this.#at] !== '"'; ) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code) || code === 10 || code === 13) {
        this.#at = start;
        return this.#fault('this text has no closing quote in its line (a line break is written \\n)');
      }
      if (code < 32) return this.#fault('a control character in a text is written as an escape, such as \\t');
      if (code !== 92) this.#at++;
      else if (!this.#skip(ESCAPE)) return this.#fault('no escape begins like this (a backslash is written \\\\)');
    }
    this.#at++;
    return undefined;
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const isFound = pattern.test(this.#text);
    if (isFound) this.#at = pattern.lastIndex;
    return isFound;
  }

  #found(): string {
    FOUND.lastIndex = this.#at;
    const [found = ''] = FOUND.exec(this.#text) ?? [];
    return found.length > 24 ? `${found.slice(0, 23)}…` : found;
  }

  #fault(message: string): JsonFault {
    return { ...this.#placeOf(this.#at), message };
  }

  #placeOf(at: number): { line: number; column: number } {
    const lines = this.#text.slice(0, at).split(/\r\n|\r|\n/);
    return { line: lines.length, column: [...lines.at(-1)!].length + 1 };
  }
}
