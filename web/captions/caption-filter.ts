import type { Pair } from '../live/pairs.js';
import { countOf } from '../ui/format.js';
import type { CaptionStatistics } from './caption-statistics.js';
import { TERM_KINDS, type TermKind } from './terms/terms.js';
import type { TermCounts } from './terms/use-terms.js';

export const CAPTION_ISSUES = ['missing', 'blank', 'duplicates'] as const;
export type CaptionIssue = (typeof CAPTION_ISSUES)[number];

/** Which captions are listed; kept in the address, so that the way back leads to them. */
export type CaptionFilter =
  | { readonly kind: 'all' }
  | { readonly kind: TermKind; readonly term: string }
  | { readonly kind: 'only'; readonly only: CaptionIssue };

export const ALL_CAPTIONS: CaptionFilter = { kind: 'all' };

export function captionFilterOf(parameters: URLSearchParams): CaptionFilter {
  for (const kind of TERM_KINDS) {
    const term = parameters.get(kind);
    if (term !== null) return { kind, term };
  }
  const only = CAPTION_ISSUES.find((only) => only === parameters.get('only'));
  return only === undefined ? ALL_CAPTIONS : { kind: 'only', only };
}

export function captionFilterParameters(choice: CaptionFilter): Record<string, string> {
  switch (choice.kind) {
    case 'all':
      return {};
    case 'only':
      return { only: choice.only };
    case 'tag':
    case 'word':
      return { [choice.kind]: choice.term };
  }
}

/** The pairs of a choice; `undefined` where that is not known yet. */
export function matchingPairs(
  choice: CaptionFilter,
  { pairs, facts, counted }: { pairs: readonly Pair[]; facts: CaptionStatistics; counted: TermCounts | undefined },
): readonly Pair[] | undefined {
  switch (choice.kind) {
    case 'all':
      return pairs;
    case 'only':
      return facts[choice.only];
    case 'tag':
    case 'word': {
      if (counted?.kind !== choice.kind) return undefined;
      const indexes = counted.terms.find(({ term }) => term === choice.term)?.captions ?? [];
      return indexes.map((index) => counted.pairs[index]!);
    }
  }
}

/** `12 captions with the tag “snow”`, `all captions`. */
export function describeFilter(choice: CaptionFilter, count?: number): string {
  if (choice.kind === 'all') return 'all captions';
  const [noun, rest] = nounOf(choice);
  return (count === undefined ? `${noun}s` : countOf(count, noun)) + rest;
}

function nounOf(choice: Exclude<CaptionFilter, { kind: 'all' }>): readonly [noun: string, rest: string] {
  if (choice.kind !== 'only') return ['caption', ` with the ${choice.kind} “${choice.term}”`];
  switch (choice.only) {
    case 'missing':
      return ['picture', ' without a caption'];
    case 'blank':
      return ['blank caption', ''];
    case 'duplicates':
      return ['caption', ' with the very text of another'];
  }
}
