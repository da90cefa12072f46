import { useMemo } from 'react';
import type { Pair } from '../../live/pairs.js';
import { textOf } from '../read-pairs.js';
import { isSentence } from '../tags/caption-tags.js';
import { type Term, type TermKind, termsAmong } from './terms.js';

export interface TermCounts {
  /** Rare terms first, equally rare terms alphabetically. */
  readonly terms: readonly Term[];
  /** The number of captions that are written in sentences, whose commas separate no tags. */
  readonly sentences: number;
}

/** The tags or words of pairs whose texts have been read. */
export function useTerms(pairs: readonly Pair[] | undefined, kind: TermKind): TermCounts | undefined {
  return useMemo(() => {
    if (pairs === undefined) return undefined;
    const textIn = ({ caption }: Pair) => (caption && textOf(caption)) ?? '';
    const counted = kind === 'word' ? pairs : pairs.filter((pair) => !isSentence(textIn(pair)));
    return { terms: termsAmong(kind, counted, textIn), sentences: pairs.length - counted.length };
  }, [pairs, kind]);
}

/** The pairs whose captions have a tag or word. */
export function captionsWith({ terms }: TermCounts, term: string): readonly Pair[] {
  return terms.find((each) => each.term === term)?.captions ?? [];
}
