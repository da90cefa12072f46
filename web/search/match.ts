import type { DatasetFile } from '../../src/client/client.js';
import { isRefusal } from '../../src/dataset/captioning/refusals.js';
import { isSentence, tagsIn } from '../captions/tags/caption-tags.js';
import { tokensOf } from '../../src/dataset/caption-tokens.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { counterpartsOf, type LinkedDataset } from '../live/counterparts.js';
import { isInCategory, type Pair } from '../live/pairs.js';
import { foldCase } from '../ui/format.js';
import { type HasWord, type IsWord, type NumberField, partsOf, type SearchQuery, type Sign } from './query.js';

/** What a search is answered from. */
export interface SearchSource {
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

/** Returns whether a pair matches a query. */
export function searchMatcher(query: SearchQuery | undefined, pairs: readonly Pair[], source: SearchSource) {
  const asksForCopies = partsOf(query).some((part) => part.kind === 'is' && part.word === 'duplicate');
  const copies = asksForCopies ? copiesAmong(pairs) : new Set<string>();
  const matches = (pair: Pair, part: SearchQuery): boolean => {
    switch (part.kind) {
      case 'all':
        return part.parts.every((each) => matches(pair, each));
      case 'any':
        return part.parts.some((each) => matches(pair, each));
      case 'not':
        return !matches(pair, part.part);
      case 'text':
        return hasText(pair, part, source);
      case 'tag': {
        const text = textIn(pair, source);
        return !isSentence(text) && tagsIn(foldCase(text)).includes(part.tag);
      }
      case 'regex':
        return source.found.get(part.source)?.has(pair.stem) === true;
      case 'number':
        return compares(numberIn(pair, part.field, source), part.sign, part.value, part.field);
      case 'is':
        return isKind(pair, part.word, { copies, source });
      case 'by':
        return pair.caption !== undefined && (pair.caption.origin?.by === 'model') === (part.word === 'model');
      case 'has':
        return hasKind(pair, part.word, source);
    }
  };
  return (pair: Pair) => query === undefined || matches(pair, query);
}

function hasText(pair: Pair, { text, isName }: { text: string; isName: boolean }, source: SearchSource): boolean {
  return (
    pair.files.some(({ filename }) => foldCase(filename).includes(text)) ||
    (!isName && foldCase(textIn(pair, source)).includes(text))
  );
}

function textIn({ caption }: Pair, { textOf }: SearchSource): string {
  return (caption && textOf(caption)) ?? '';
}

/** `undefined` where the question makes no sense, which no comparison meets. */
function numberIn(pair: Pair, field: NumberField, source: SearchSource): number | undefined {
  const [first] = pair.media;
  switch (field) {
    case 'chars':
      return pair.caption === undefined ? 0 : pair.caption.characters;
    case 'tokens':
      return tokensOf(textIn(pair, source));
    case 'width':
      return first?.width;
    case 'height':
      return first?.height;
    case 'ratio':
      return first?.width === undefined || first.height === undefined ? undefined : first.width / first.height;
    case 'seconds':
      return first?.duration_seconds;
  }
}

/** 1 %: an image of 1360 × 768 is one of 16:9. */
const RATIO_TOLERANCE = 0.01;

function compares(actual: number | undefined, sign: Sign, value: number, field: NumberField): boolean {
  if (actual === undefined) return false;
  const isEqual = field === 'ratio' ? Math.abs(actual / value - 1) < RATIO_TOLERANCE : actual === value;
  if (sign === '=') return isEqual;
  if (sign.endsWith('=') && isEqual) return true;
  return sign.startsWith('<') ? actual < value : actual > value;
}

function isKind(
  pair: Pair,
  word: IsWord,
  { copies, source }: { copies: ReadonlySet<string>; source: SearchSource },
): boolean {
  switch (word) {
    case 'image':
    case 'clip':
      return pair.media.some(({ kind }) => kind === (word === 'clip' ? 'video' : 'image'));
    case 'blank':
      return isInCategory(pair, 'blank');
    case 'refusal':
      return isRefusal(textIn(pair, source));
    case 'duplicate':
      return copies.has(pair.stem);
  }
}

function hasKind(pair: Pair, word: HasWord, { linked, proposed }: SearchSource): boolean {
  switch (word) {
    case 'caption':
      return pair.caption !== undefined;
    case 'audio':
      return pair.media.some(({ has_audio }) => has_audio === true);
    case 'warning':
      return pair.problems.length > 0;
    case 'proposal':
      return proposed.has(pair.stem);
    case 'mask':
    case 'control':
      return counterpartsOf(linked, pair).some(
        ({ slot, file }) => file !== undefined && (slot === 'mask') === (word === 'mask'),
      );
  }
}

/** The stems of pairs that have an image or clip of the same bytes as another one. */
export function copiesAmong(pairs: readonly Pair[]): ReadonlySet<string> {
  const files = pairs.flatMap(({ stem, media }) => media.map(({ sha256 }) => ({ stem, sha256 })));
  const groups = [...groupedBy(files, ({ sha256 }) => sha256).values()];
  return new Set(groups.filter((same) => same.length > 1).flatMap((same) => same.map(({ stem }) => stem)));
}

/** The texts that a query asks for: where they stand in a name or a caption, they are marked. */
export function markedTexts(query: SearchQuery | undefined, found: RegexHits): (stem: string) => readonly string[] {
  const parts = partsOf(query, { isFound: true });
  const texts = parts.flatMap((part) => (part.kind === 'text' ? part.text : part.kind === 'tag' ? part.tag : []));
  const sources = parts.flatMap((part) => (part.kind === 'regex' ? part.source : []));
  if (sources.length === 0) return () => texts;
  return (stem) => [...texts, ...sources.flatMap((source) => found.get(source)?.get(stem) ?? [])];
}
