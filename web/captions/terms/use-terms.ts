import { useEffect, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { forEachInChunks } from '../in-chunks.js';
import { textOf } from '../read-pairs.js';
import { isSentence } from '../tags/caption-tags.js';
import { TermCounter, type Term, type TermKind, termsOf } from './terms.js';

export interface TermCounts {
  readonly kind: TermKind;
  /** The pairs that `Term.captions` refers to. */
  readonly pairs: readonly Pair[];
  /** Rare terms first, equally rare terms alphabetically. */
  readonly terms: readonly Term[];
  /** The number of captions that are written in sentences, whose commas separate no tags. */
  readonly sentences: number;
}

/** Counts the tags or words of pairs. While it counts, returns the previous counts. */
export function useTerms(pairs: readonly Pair[] | undefined, kind: TermKind): TermCounts | undefined {
  const [counts, setCounts] = useState<TermCounts>();
  useEffect(() => {
    if (pairs === undefined) return;
    const counting = new AbortController();
    count(pairs, kind, counting.signal).then(
      (counted) => !counting.signal.aborted && setCounts({ kind, pairs, ...counted }),
      () => {},
    );
    return () => counting.abort();
  }, [pairs, kind]);
  return counts?.kind === kind ? counts : undefined;
}

async function count(pairs: readonly Pair[], kind: TermKind, signal: AbortSignal) {
  const counter = new TermCounter();
  let sentences = 0;
  const add = ({ caption }: Pair, index: number) => {
    const text = (caption && textOf(caption)) ?? '';
    if (kind === 'word' || !isSentence(text)) counter.add(index, termsOf(kind, text));
    else sentences++;
  };
  await forEachInChunks(pairs, add, signal);
  const groups = counter.groupsByCount();
  await forEachInChunks(groups, (group) => group.sort((a, b) => (a.folded < b.folded ? -1 : 1)), signal);
  return { terms: groups.flat(), sentences };
}
