import { groupedBy } from '../../grouped-by.js';
import { foldCase } from '../../ui/format.js';
import { tagsIn } from '../tags/caption-tags.js';

export const TERM_KINDS = ['tag', 'word'] as const;
export type TermKind = (typeof TERM_KINDS)[number];

/** A tag or word, and the captions that contain it. */
export interface Term {
  readonly term: string;
  /** Case-folded, for the search. */
  readonly folded: string;
  /** Indexes of the captions that contain it, among all captions that were counted. */
  readonly captions: readonly number[];
}

/** Words may contain apostrophes and hyphens. */
const WORDS = /[\p{L}\p{N}][\p{L}\p{N}\p{M}_]*(?:['’-][\p{L}\p{N}][\p{L}\p{N}\p{M}_]*)*/gu;

/** The distinct tags or words of a text. Tags keep their case, because a mistyped tag may differ by case alone. */
export function termsOf(kind: TermKind, text: string): Set<string> {
  return kind === 'word' ? new Set(text.normalize('NFC').toLowerCase().match(WORDS)) : new Set(tagsIn(text));
}

/** Collects the captions of each term. */
export class TermCounter {
  readonly #captions = new Map<string, number[]>();

  add(index: number, terms: Iterable<string>): void {
    for (const term of terms) {
      const captions = this.#captions.get(term);
      if (captions === undefined) this.#captions.set(term, [index]);
      else captions.push(index);
    }
  }

  /** Groups terms by their number of captions, rare terms first. Does not sort within a group: the caller does, in chunks. */
  groupsByCount(): Term[][] {
    const terms = [...this.#captions].map(([term, captions]) => ({ term, folded: foldCase(term), captions }));
    const groups = groupedBy(terms, ({ captions }) => captions.length);
    return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
  }
}
