import type { Pair } from '../../live/pairs.js';
import { foldCase } from '../../ui/format.js';
import { tagsIn } from '../tags/caption-tags.js';

export const TERM_KINDS = ['tag', 'word'] as const;
export type TermKind = (typeof TERM_KINDS)[number];

/** A tag or word, and the captions that contain it. */
export interface Term<T = Pair> {
  readonly term: string;
  /** Case-folded, for the search. */
  readonly folded: string;
  readonly captions: readonly T[];
}

/** Words may contain apostrophes and hyphens. */
const WORDS = /[\p{L}\p{N}][\p{L}\p{N}\p{M}_]*(?:['’-][\p{L}\p{N}][\p{L}\p{N}\p{M}_]*)*/gu;

/** The distinct tags or words of a text. Tags keep their case, because a mistyped tag may differ by case alone. */
export function termsOf(kind: TermKind, text: string): Set<string> {
  return kind === 'word' ? new Set(text.normalize('NFC').toLowerCase().match(WORDS)) : new Set(tagsIn(text));
}

/** The tags or words of captions: rare ones first, equally rare ones in the order of the alphabet. */
export function termsAmong<T>(kind: TermKind, captions: readonly T[], textOf: (caption: T) => string): Term<T>[] {
  const byTerm = new Map<string, T[]>();
  for (const caption of captions) {
    for (const term of termsOf(kind, textOf(caption))) {
      const known = byTerm.get(term);
      if (known === undefined) byTerm.set(term, [caption]);
      else known.push(caption);
    }
  }
  return [...byTerm]
    .map(([term, captions]) => ({ term, folded: foldCase(term), captions }))
    .sort((a, b) => a.captions.length - b.captions.length || (a.folded < b.folded ? -1 : 1));
}
