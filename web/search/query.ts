import type { DatasetFile } from '../../src/client/client.js';
import { tokensOf } from '../../src/dataset/caption-tokens.js';
import { isRefusal } from '../../src/dataset/captioning/refusals.js';
import { isSentence, tagsIn } from '../captions/tags/caption-tags.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { counterpartsOf, type LinkedDataset } from '../live/counterparts.js';
import { isInCategory, type Pair } from '../live/pairs.js';
import { foldCase } from '../ui/format.js';

/** What a search is answered from. */
interface SearchSource {
  readonly linked: readonly LinkedDataset[];
  /** The text of a caption; `undefined` if it is not known. */
  readonly textOf: (file: DatasetFile) => string | undefined;
  /** What each regular expression has found, by the stems of the pairs. */
  readonly found: RegexHits;
  /** The stems of pairs with a proposal of a model. */
  readonly proposed: ReadonlySet<string>;
}

/** By expression, and by the stem of each pair that it matches: some of the texts that it has found there. */
export type RegexHits = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

interface KnownSource extends SearchSource {
  /** The stems of pairs with a file whose bytes another pair has too. */
  readonly copies: ReadonlySet<string>;
}

type Asked<T> = (pair: Pair, source: KnownSource) => T;

/** What a search asks for, and all terms of which it consists. */
interface SearchQuery {
  readonly matches: Asked<boolean>;
  readonly terms: readonly SearchTerm[];
}

interface SearchTerm {
  /** Whether the text of captions must be known to answer it. */
  readonly needsTexts: boolean;
  /** Marked where it stands in a name or a caption. */
  readonly text?: string;
  /** The source of a regular expression. */
  readonly regex?: string;
  /** It asks for pairs without it. */
  readonly isNegated?: boolean;
}

/** What is wrong with a search, and where. */
export interface SearchFault {
  readonly message: string;
  readonly from: number;
  readonly to: number;
}

type ParsedSearch =
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
    return parts.length === 1
      ? parts[0]
      : combined(
          'some',
          parts.flatMap((part) => part ?? []),
        );
  }

  #all(): SearchQuery | undefined {
    const parts: SearchQuery[] = [];
    for (;;) {
      this.#take(AND);
      if (this.#isAt(OR) || this.#at >= this.#text.length || this.#text[this.#at] === ')') break;
      parts.push(this.#not());
    }
    return parts.length > 1 ? combined('every', parts) : parts[0];
  }

  #not(): SearchQuery {
    const from = this.#at;
    if (this.#text[from] !== '-' || /^[\s)]?$/.test(this.#text[from + 1] ?? '')) return this.#atom();
    this.#at++;
    const { matches, terms } = this.#atom();
    return { matches: (...asked) => !matches(...asked), terms: terms.map((term) => ({ ...term, isNegated: true })) };
  }

  #atom(): SearchQuery {
    const from = this.#at;
    if (this.#text[from] === '(') return this.#group(from);
    if (this.#text[from] === '/') return this.#regex(from);
    const field = this.#match(FIELD)?.[1]?.toLowerCase();
    const value = this.#match(QUOTED)?.[1] ?? this.#match(BARE)?.[0] ?? '';
    return field === undefined ? textQuery(foldCase(value)) : fieldQuery(field, value, { from, to: this.#at });
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
    if (this.#isAt(/[^\s()]/y)) {
      throw new Fault(
        'After the / that ends an expression stands a space. Within one, a / is written \\/.',
        from,
        to + 1,
      );
    }
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
    return {
      matches: ({ stem }, { found }) => found.get(source)?.has(stem) === true,
      terms: [{ needsTexts: true, regex: source }],
    };
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

function combined(how: 'some' | 'every', parts: readonly SearchQuery[]): SearchQuery {
  const terms = parts.flatMap((part) => part.terms);
  return { matches: (...asked) => parts[how](({ matches }) => matches(...asked)), terms };
}

/** Words in a filename or, unless `isName`, a caption. */
function textQuery(text: string, { isName = false } = {}): SearchQuery {
  return {
    matches: (pair, source) =>
      pair.files.some(({ filename }) => foldCase(filename).includes(text)) ||
      (!isName && foldCase(textIn(pair, source)).includes(text)),
    terms: [{ needsTexts: !isName, text }],
  };
}

/** A whole tag. */
function tagQuery(tag: string): SearchQuery {
  const matches: Asked<boolean> = (pair, source) => {
    const text = textIn(pair, source);
    return !isSentence(text) && tagsIn(foldCase(text)).includes(tag);
  };
  return { matches, terms: [{ needsTexts: true, text: tag }] };
}

function textIn({ caption }: Pair, { textOf }: SearchSource): string {
  return (caption && textOf(caption)) ?? '';
}

const hasCounterpart =
  (isMeant: (slot: LinkedDataset['slot']) => boolean): Asked<boolean> =>
  (pair, { linked }) =>
    counterpartsOf(linked, pair).some(({ slot, file }) => file !== undefined && isMeant(slot));

type Table<T> = Readonly<Record<string, Asked<T>>>;

/** The fields with a word, and what each word asks for. */
const WORDS: Readonly<Record<string, Table<boolean>>> = {
  is: {
    image: ({ media }) => media.some(({ kind }) => kind === 'image'),
    clip: ({ media }) => media.some(({ kind }) => kind === 'video'),
    duplicate: ({ stem }, { copies }) => copies.has(stem),
    blank: (pair) => isInCategory(pair, 'blank'),
    refusal: (pair, source) => isRefusal(textIn(pair, source)),
  },
  has: {
    caption: ({ caption }) => caption !== undefined,
    control: hasCounterpart((slot) => slot !== 'mask'),
    mask: hasCounterpart((slot) => slot === 'mask'),
    audio: ({ media }) => media.some(({ has_audio }) => has_audio === true),
    warning: ({ problems }) => problems.length > 0,
    proposal: ({ stem }, { proposed }) => proposed.has(stem),
  },
  // Who wrote the caption.
  by: {
    model: ({ caption }) => caption?.origin?.by === 'model',
    me: ({ caption }) => caption !== undefined && caption.origin?.by !== 'model',
  },
};

/** The fields with a number: `undefined` where the question makes no sense, which no comparison meets. */
const NUMBERS: Table<number | undefined> = {
  chars: ({ caption }) => (caption === undefined ? 0 : caption.characters),
  tokens: (pair, source) => tokensOf(textIn(pair, source)),
  width: ({ media: [first] }) => first?.width,
  height: ({ media: [first] }) => first?.height,
  ratio: ({ media: [first] }) => first?.width && first.height && first.width / first.height,
  seconds: ({ media: [first] }) => first?.duration_seconds,
};

/** What a table has for a name that was typed, such as `constructor`. */
function entryOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

const FIELDS = ['name', 'tag', ...Object.keys(NUMBERS), ...Object.keys(WORDS)];

/** The fields and words for which the text of captions must be known. */
const NEEDS_TEXTS = new Set(['tokens', 'refusal']);

function fieldQuery(field: string, value: string, { from, to }: Omit<SearchFault, 'message'>): SearchQuery {
  if (field === 'name') return textQuery(foldCase(value), { isName: true });
  if (field === 'tag') return tagQuery(foldCase(value.trim().replaceAll(/\s+/g, ' ')));
  const words = entryOf(WORDS, field);
  if (words !== undefined) {
    const word = value.toLowerCase();
    const matches = entryOf(words, word);
    if (matches === undefined) throw new Fault(`${field}: knows ${Object.keys(words).join(', ')}.`, from, to);
    return { matches, terms: [{ needsTexts: NEEDS_TEXTS.has(word) }] };
  }
  const numberIn = entryOf(NUMBERS, field);
  if (numberIn === undefined) {
    const known = `only ${FIELDS.join(', ')}`;
    throw new Fault(`There is no “${field}:”, ${known}. Text with a colon stands in quotes.`, from, to);
  }
  const isRatio = field === 'ratio';
  const found = /^(<=|>=|<|>|=)?(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?$/.exec(value);
  const [, sign = '=', first, second] = found ?? [];
  if (first === undefined || (second !== undefined && (!isRatio || Number(second) === 0))) {
    throw new Fault(`After ${field}: stands a number, such as ${isRatio ? '16:9' : '>200'}.`, from, to);
  }
  const limit = { sign, value: Number(first) / Number(second ?? 1), tolerance: isRatio ? RATIO_TOLERANCE : 0 };
  return {
    matches: (pair, source) => compares(numberIn(pair, source), limit),
    terms: [{ needsTexts: NEEDS_TEXTS.has(field) }],
  };
}

/** 1 %: an image of 1360 × 768 is one of 16:9. */
const RATIO_TOLERANCE = 0.01;

interface Limit {
  readonly sign: string;
  readonly value: number;
  readonly tolerance: number;
}

function compares(actual: number | undefined, { sign, value, tolerance }: Limit): boolean {
  if (actual === undefined) return false;
  const isEqual = actual === value || Math.abs(actual / value - 1) < tolerance;
  if (sign === '=') return isEqual;
  if (sign.endsWith('=') && isEqual) return true;
  return sign.startsWith('<') ? actual < value : actual > value;
}

/** Returns whether a pair matches a query. */
export function searchMatcher(query: SearchQuery | undefined, pairs: readonly Pair[], source: SearchSource) {
  let copies: ReadonlySet<string> | undefined;
  const known: KnownSource = {
    ...source,
    get copies() {
      copies ??= copiesAmong(pairs);
      return copies;
    },
  };
  return (pair: Pair) => query === undefined || query.matches(pair, known);
}

/** Whether the text of captions must be known to answer a query. */
export function asksForTexts(query: SearchQuery | undefined): boolean {
  return query?.terms.some(({ needsTexts }) => needsTexts) === true;
}

/** The stems of pairs that have an image or clip of the same bytes as another one. */
export function copiesAmong(pairs: readonly Pair[]): ReadonlySet<string> {
  const files = pairs.flatMap(({ stem, media }) => media.map(({ sha256 }) => ({ stem, sha256 })));
  const groups = [...groupedBy(files, ({ sha256 }) => sha256).values()];
  return new Set(groups.filter((same) => same.length > 1).flatMap((same) => same.map(({ stem }) => stem)));
}

/** The texts that a query asks for: where they stand in a name or a caption, they are marked. */
export function markedTexts(query: SearchQuery | undefined, found: RegexHits): (stem: string) => readonly string[] {
  const terms = query?.terms.filter(({ isNegated }) => !isNegated) ?? [];
  const texts = terms.flatMap(({ text }) => text ?? []);
  const sources = terms.flatMap(({ regex }) => regex ?? []);
  if (sources.length === 0) return () => texts;
  return (stem) => [...texts, ...sources.flatMap((source) => found.get(source)?.get(stem) ?? [])];
}
