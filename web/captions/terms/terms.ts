export const TERM_KINDS = ['tag', 'word'] as const;
export type TermKind = (typeof TERM_KINDS)[number];

/** A tag or word, and in how many captions it is. */
export interface Term {
  readonly term: string;
  /** As it is searched. */
  readonly folded: string;
  /** Places of the captions that have it, among all that were counted. */
  readonly captions: readonly number[];
}

/** Commas as they are typed in the West and in the East, and line ends. */
const SEPARATORS = /[,，、\r\n]+/;

/** With apostrophes and hyphens within. */
const WORDS = /[\p{L}\p{N}][\p{L}\p{N}\p{M}_]*(?:['’-][\p{L}\p{N}][\p{L}\p{N}\p{M}_]*)*/gu;

/** The different tags or words of a text. A tag is as it was written, since an odd one may be odd by its case alone. */
export function termsOf(kind: TermKind, text: string): Set<string> {
  const composed = text.normalize('NFC');
  if (kind === 'word') return new Set(composed.toLowerCase().match(WORDS));
  return new Set(
    composed
      .split(SEPARATORS)
      .map((tag) => tag.trim().replaceAll(/\s+/g, ' '))
      .filter((tag) => tag !== ''),
  );
}

/** As searched for: without regard to case and to how accents are written. */
export function foldCase(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/** Counts captions one by one. */
export class TermCounter {
  readonly #captions = new Map<string, number[]>();

  add(index: number, terms: Iterable<string>): void {
    for (const term of terms) {
      const captions = this.#captions.get(term);
      if (captions === undefined) this.#captions.set(term, [index]);
      else captions.push(index);
    }
  }

  /** In groups of the same count, rare ones first, to be put in order one group at a time. */
  groupsByCount(): Term[][] {
    const groups = new Map<number, Term[]>();
    for (const [term, captions] of this.#captions) {
      const group = groups.get(captions.length);
      const entry = { term, folded: foldCase(term), captions };
      if (group === undefined) groups.set(captions.length, [entry]);
      else group.push(entry);
    }
    return [...groups.entries()].sort(([a], [b]) => a - b).map(([, group]) => group);
  }
}
