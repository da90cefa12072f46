import { useEffect, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { forEachInChunks } from '../in-chunks.js';
import { textOf } from '../read-pairs.js';
import { TermCounter, type Term, type TermKind, termsOf } from './terms.js';

export interface TermCounts {
  readonly kind: TermKind;
  /** What the places of terms are places in. */
  readonly pairs: readonly Pair[];
  /** Rare ones first, and in the order of the alphabet where they are equally rare. */
  readonly terms: readonly Term[];
}

/** The tags or words of these pairs, counted; of the pairs of a moment ago while that is being done. */
export function useTerms(pairs: readonly Pair[] | undefined, kind: TermKind): TermCounts | undefined {
  const [counted, setCounted] = useState<TermCounts>();
  useEffect(() => {
    if (pairs === undefined) return;
    const counting = new AbortController();
    count(pairs, kind, counting.signal).then(
      (terms) => !counting.signal.aborted && setCounted({ kind, pairs, terms }),
      () => {},
    );
    return () => counting.abort();
  }, [pairs, kind]);
  return counted?.kind === kind ? counted : undefined;
}

async function count(pairs: readonly Pair[], kind: TermKind, signal: AbortSignal): Promise<Term[]> {
  const counter = new TermCounter();
  const add = ({ caption }: Pair, index: number) =>
    counter.add(index, caption === undefined ? [] : termsOf(kind, textOf(caption) ?? ''));
  await forEachInChunks(pairs, add, signal);
  const groups = counter.groupsByCount();
  await forEachInChunks(groups, (group) => group.sort((a, b) => (a.folded < b.folded ? -1 : 1)), signal);
  return groups.flat();
}
