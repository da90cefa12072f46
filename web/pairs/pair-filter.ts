import { PAIR_CATEGORIES, type PairCategory, isInCategory, type Pair } from '../live/pairs.js';

/** What is listed: pairs that a filter lets through, or uploads that were refused. */
export type View = PairCategory | 'rejected';

export const VIEWS = {
  all: 'All',
  missing: 'No caption',
  blank: 'Blank',
  orphan: 'Caption only',
  warnings: 'Warnings',
  rejected: 'Rejected',
} as const satisfies Record<View, string>;

/** What of a dataset is shown, as the address says it. */
export interface PairFilter {
  readonly view: View;
  readonly search: string;
  /** A file that somebody was sent to. */
  readonly file: string | undefined;
}

/** The choice that an address holds; what it doesn't know is as if it were not there. */
export function pairFilterOf(parameters: URLSearchParams): PairFilter {
  const view = parameters.get('filter') ?? '';
  return {
    view: Object.hasOwn(VIEWS, view) ? (view as View) : 'all',
    search: parameters.get('search') ?? '',
    file: parameters.get('file') ?? undefined,
  };
}

/** Those of an address that differ from what is usual. */
export function pairFilterParameters({ view, search, file }: PairFilter): URLSearchParams {
  return new URLSearchParams({
    ...(view !== 'all' && { filter: view }),
    ...(search !== '' && { search }),
    ...(file !== undefined && { file }),
  });
}

export function categoryCounts(pairs: readonly Pair[]): Record<PairCategory, number> {
  const counts = { all: 0, missing: 0, blank: 0, orphan: 0, warnings: 0 };
  for (const pair of pairs) for (const filter of PAIR_CATEGORIES) if (isInCategory(pair, filter)) counts[filter]++;
  return counts;
}

/** Whether one of the names holds all the words of the search. */
export function nameMatcher(search: string): (names: readonly string[]) => boolean {
  const words = foldedOf(search).split(/\s+/).filter(Boolean);
  return (names) =>
    words.length === 0 || names.map(foldedOf).some((name) => words.every((word) => name.includes(word)));
}

function foldedOf(text: string): string {
  return text.normalize('NFC').toLowerCase();
}
