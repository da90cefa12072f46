export const TERM_KINDS = ['tag', 'word'] as const;
export type TermKind = (typeof TERM_KINDS)[number];

/** A tag or word, and in how many captions it is. */
export interface Term {
  readonly term: string;
  /** As it is searched. */
  readonly folded: string;
  /** Places of the captions that have it, among all that were counted. */
  readonly places: readonly number[];
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
export function foldedOf(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/** Counts captions one by one. */
export class Tally {
  readonly #places = new Map<string, number[]>();

  add(place: number, terms: Iterable<string>): void {
    for (const term of terms) {
      const places = this.#places.get(term);
      if (places === undefined) this.#places.set(term, [place]);
      else places.push(place);
    }
  }

  /** In groups of the same count, rare ones first, to be put in order one group at a time. */
  groups(): Term[][] {
    const groups = new Map<number, Term[]>();
    for (const [term, places] of this.#places) {
      const group = groups.get(places.length);
      const entry = { term, folded: foldedOf(term), places };
      if (group === undefined) groups.set(places.length, [entry]);
      else group.push(entry);
    }
    return [...groups.entries()].sort(([a], [b]) => a - b).map(([, group]) => group);
  }
}
