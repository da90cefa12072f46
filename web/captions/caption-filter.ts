import type { Pair } from '../live/pairs.js';
import { countOf } from '../ui/format.js';
import type { CaptionStatistics } from './caption-statistics.js';
import { TERM_KINDS, type TermKind } from './terms/terms.js';
import type { TermCounts } from './terms/use-terms.js';

const CAPTION_ISSUES = ['missing', 'blank', 'duplicates'] as const;
export type CaptionIssue = (typeof CAPTION_ISSUES)[number];

/** Which captions are listed. It is part of the page's address, so that the browser's back button restores it. */
export type CaptionFilter =
  | { readonly kind: 'all' }
  | { readonly kind: TermKind; readonly term: string }
  | { readonly kind: 'issue'; readonly issue: CaptionIssue };

export const ALL_CAPTIONS: CaptionFilter = { kind: 'all' };

/** Reads the filter from the parameters of an address. */
export function captionFilterOf(parameters: URLSearchParams): CaptionFilter {
  for (const kind of TERM_KINDS) {
    const term = parameters.get(kind);
    if (term !== null) return { kind, term };
  }
  const issue = CAPTION_ISSUES.find((issue) => issue === parameters.get('only'));
  return issue === undefined ? ALL_CAPTIONS : { kind: 'issue', issue };
}

export function captionFilterParameters(filter: CaptionFilter): Record<string, string> {
  switch (filter.kind) {
    case 'all':
      return {};
    case 'issue':
      return { only: filter.issue };
    case 'tag':
    case 'word':
      return { [filter.kind]: filter.term };
  }
}

interface ReadCaptions {
  readonly pairs: readonly Pair[];
  readonly statistics: CaptionStatistics;
  readonly counts: TermCounts | undefined;
}

/** The pairs that match a filter; `undefined` until the terms have been counted. */
export function matchingPairs(
  filter: CaptionFilter,
  { pairs, statistics, counts }: ReadCaptions,
): readonly Pair[] | undefined {
  switch (filter.kind) {
    case 'all':
      return pairs;
    case 'issue':
      return statistics[filter.issue];
    case 'tag':
    case 'word': {
      if (counts?.kind !== filter.kind) return undefined;
      const indexes = counts.terms.find(({ term }) => term === filter.term)?.captions ?? [];
      return indexes.map((index) => counts.pairs[index]!);
    }
  }
}

/** `12 captions with the tag “snow”`, `all captions`. */
export function describeFilter(filter: CaptionFilter, count?: number): string {
  if (filter.kind === 'all') return 'all captions';
  const [noun, rest] = nounOf(filter);
  return (count === undefined ? `${noun}s` : countOf(count, noun)) + rest;
}

function nounOf(filter: Exclude<CaptionFilter, { kind: 'all' }>): readonly [noun: string, rest: string] {
  if (filter.kind !== 'issue') return ['caption', ` with the ${filter.kind} “${filter.term}”`];
  switch (filter.issue) {
    case 'missing':
      return ['missing caption', ''];
    case 'blank':
      return ['blank caption', ''];
    case 'duplicates':
      return ['duplicate caption', ''];
  }
}
