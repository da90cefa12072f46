import { foldCase } from '../ui/format.js';

/** What a search asks for. */
export type SearchQuery =
  | { readonly kind: 'all' | 'any'; readonly parts: readonly SearchQuery[] }
  | { readonly kind: 'not'; readonly part: SearchQuery }
  /** In a filename or, unless `isName`, a caption. Case-folded. */
  | { readonly kind: 'text'; readonly text: string; readonly isName: boolean }
  /** A whole tag. Case-folded. */
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'regex'; readonly source: string }
  | { readonly kind: 'number'; readonly field: NumberField; readonly sign: Sign; readonly value: number }
  | { readonly kind: 'is'; readonly word: IsWord }
  | { readonly kind: 'has'; readonly word: HasWord }
  | { readonly kind: 'by'; readonly word: ByWord };

export const NUMBER_FIELDS = ['chars', 'tokens', 'width', 'height', 'ratio', 'seconds'] as const;
export type NumberField = (typeof NUMBER_FIELDS)[number];
export const IS_WORDS = ['image', 'clip', 'duplicate', 'blank', 'refusal'] as const;
export type IsWord = (typeof IS_WORDS)[number];
export const HAS_WORDS = ['caption', 'control', 'mask', 'audio', 'warning', 'proposal'] as const;
export type HasWord = (typeof HAS_WORDS)[number];
/** Who wrote the caption. */
export const BY_WORDS = ['model', 'me'] as const;
export type ByWord = (typeof BY_WORDS)[number];
export type Sign = '<' | '<=' | '>' | '>=' | '=';

/** What is wrong with a search, and where. */
export interface SearchFault {
  readonly message: string;
  readonly from: number;
  readonly to: number;
}

export type ParsedSearch =
  /** `undefined` for an empty search, which everything matches. */
  | { readonly query: SearchQuery | undefined; readonly fault?: never }
  | { readonly fault: SearchFault; readonly query?: never };

/** An expression of more characters is not one that a person typed. */
const MAX_SOURCE = 200;

/** All that a regular expression of a search is compiled with. `^` begins a name or a line of a caption. */
export const REGEX_FLAGS = 'gimu';

class Fault extends Error {
  readonly fault: SearchFault;
  constructor(message: string, from: number, to: number) {
    super(message);
    this.fault = { message, from, to };
  }
}

/** Reads a search. What can't be read is described, never thrown. */
export function parsedSearch(text: string): ParsedSearch {
  try {
    return { query: new Parser(text).query() };
  } catch (error) {
    if (error instanceof Fault) return { fault: error.fault };
    throw error;
  }
}

const SPACES = /\s*/y;
const OR = /OR(?=[\s()]|$)/y;
const AND = /AND(?=[\s()]|$)/y;
const FIELD = /([a-z]+):(?=\S)/iy;
const QUOTED = /"([^"]*)("|$)/y;
const BARE = /[^\s()"]+/y;
const REGEX = /\/((?:\\.|[^\\/])*)(\/|\\?$)/y;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  query(): SearchQuery | undefined {
    const query = this.#any();
    if (this.#at < this.#text.length) throw new Fault('This ) has no ( before it.', this.#at, this.#at + 1);
    return query;
  }

  #any(): SearchQuery | undefined {
    const parts = [this.#all()];
    for (let at = this.#at; this.#take(OR) !== undefined; at = this.#at) {
      const part = this.#all();
      if (part === undefined || parts[0] === undefined) throw new Fault('OR stands between two words.', at, at + 2);
      parts.push(part);
    }
    return parts.length === 1 ? parts[0] : { kind: 'any', parts: parts.flatMap((part) => part ?? []) };
  }

  #all(): SearchQuery | undefined {
    const parts: SearchQuery[] = [];
    for (;;) {
      this.#take(AND);
      if (this.#isAt(OR) || this.#at >= this.#text.length || this.#text[this.#at] === ')') break;
      parts.push(this.#not());
    }
    return parts.length > 1 ? { kind: 'all', parts } : parts[0];
  }

  #not(): SearchQuery {
    const from = this.#at;
    if (this.#text[from] !== '-' || /^[\s)]?$/.test(this.#text[from + 1] ?? '')) return this.#atom();
    this.#at++;
    return { kind: 'not', part: this.#atom() };
  }

  #atom(): SearchQuery {
    const from = this.#at;
    if (this.#text[from] === '(') return this.#group(from);
    if (this.#text[from] === '/') return this.#regex(from);
    const field = this.#match(FIELD)?.[1]?.toLowerCase();
    const isQuoted = this.#text[this.#at] === '"';
    const value = this.#value();
    return field === undefined
      ? { kind: 'text', text: foldCase(value), isName: false }
      : termOf(field, value, { from, to: this.#at, isQuoted });
  }

  #group(from: number): SearchQuery {
    this.#at++;
    const query = this.#any();
    if (this.#take(/\)/y) === undefined) throw new Fault('This ( is never closed.', from, from + 1);
    if (query === undefined) throw new Fault('There is nothing in these parentheses.', from, this.#at);
    return query;
  }

  #regex(from: number): SearchQuery {
    const [, source = '', end] = this.#match(REGEX) ?? [];
    const to = this.#at;
    if (end !== '/') throw new Fault('This expression needs a / at its end.', from, this.#text.length);
    if (source.length > MAX_SOURCE) throw new Fault(`An expression has at most ${MAX_SOURCE} characters.`, from, to);
    try {
      new RegExp(source, REGEX_FLAGS);
    } catch (error) {
      // The message of the browser repeats the expression before its reason.
      const reason = String((error as Error).message)
        .split(': ')
        .at(-1);
      throw new Fault(`Not a regular expression: ${reason}.`, from, to);
    }
    if (source === '') throw new Fault('There is nothing between the slashes.', from, to);
    return { kind: 'regex', source };
  }

  #value(): string {
    const quoted = this.#match(QUOTED);
    return quoted?.[1] ?? this.#match(BARE)?.[0] ?? '';
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text) ?? undefined;
    if (found !== undefined) this.#at = pattern.lastIndex;
    return found;
  }

  /** Takes a sign or word, with the spaces around it. */
  #take(pattern: RegExp): string | undefined {
    this.#match(SPACES);
    const found = this.#match(pattern)?.[0];
    this.#match(SPACES);
    return found;
  }

  #isAt(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    return pattern.test(this.#text);
  }
}

const FIELDS = ['name', 'tag', ...NUMBER_FIELDS, 'is', 'has', 'by'];

interface TermPlace {
  readonly from: number;
  readonly to: number;
  readonly isQuoted: boolean;
}

function termOf(field: string, value: string, { from, to }: TermPlace): SearchQuery {
  const word = value.toLowerCase();
  const oneOf = <T extends string>(words: readonly T[]): T => {
    const found = words.find((each) => each === word);
    if (found === undefined) throw new Fault(`${field}: knows ${words.join(', ')}.`, from, to);
    return found;
  };
  if (field === 'name') return { kind: 'text', text: foldCase(value), isName: true };
  if (field === 'tag') return { kind: 'tag', tag: foldCase(value.trim().replaceAll(/\s+/g, ' ')) };
  if (field === 'is') return { kind: 'is', word: oneOf(IS_WORDS) };
  if (field === 'by') return { kind: 'by', word: oneOf(BY_WORDS) };
  if (field === 'has') return { kind: 'has', word: oneOf(HAS_WORDS) };
  const number = NUMBER_FIELDS.find((each) => each === field);
  if (number === undefined) {
    throw new Fault(
      `There is no “${field}:”, only ${FIELDS.join(', ')}. Text with a colon stands in quotes.`,
      from,
      to,
    );
  }
  const found = /^(<=|>=|<|>|=)?(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?$/.exec(value);
  const [, sign = '=', first, second] = found ?? [];
  if (first === undefined || (second !== undefined && (number !== 'ratio' || Number(second) === 0))) {
    throw new Fault(`After ${field}: stands a number, such as ${number === 'ratio' ? '16:9' : '>200'}.`, from, to);
  }
  return { kind: 'number', field: number, sign: sign as Sign, value: Number(first) / Number(second ?? 1) };
}

/** All parts of a query, itself included. Without those that are negated, if `isFound`. */
export function partsOf(query: SearchQuery | undefined, { isFound = false } = {}): readonly SearchQuery[] {
  if (query === undefined) return [];
  if (query.kind === 'not') return isFound ? [] : [query, ...partsOf(query.part)];
  if (query.kind !== 'all' && query.kind !== 'any') return [query];
  return [query, ...query.parts.flatMap((part) => partsOf(part, { isFound }))];
}

/** Whether the text of captions must be known to answer a query. */
export function asksForTexts(query: SearchQuery | undefined): boolean {
  return partsOf(query).some(
    (part) =>
      part.kind === 'tag' ||
      part.kind === 'regex' ||
      (part.kind === 'is' && part.word === 'refusal') ||
      (part.kind === 'text' && !part.isName) ||
      (part.kind === 'number' && part.field === 'tokens'),
  );
}
