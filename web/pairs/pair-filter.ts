import { PAIR_CATEGORIES, type PairCategory, isInCategory, type Pair } from '../live/pairs.js';
import { foldCase } from '../ui/format.js';

/** The content of the list: the pairs of a category, or rejected uploads. */
export type View = PairCategory | 'rejected';

export const VIEWS = {
  all: 'All',
  missing: 'No caption',
  blank: 'Blank',
  orphan: 'Caption only',
  warnings: 'Warnings',
  rejected: 'Rejected',
} as const satisfies Record<View, string>;

/** Selects the part of a dataset that is shown. It is part of the page's address. */
export interface PairFilter {
  readonly view: View;
  readonly search: string;
  /** A file to scroll to. */
  readonly file: string | undefined;
}

/** Reads the filter from the parameters of an address. Ignores values that it does not know. */
export function pairFilterOf(parameters: URLSearchParams): PairFilter {
  const view = parameters.get('filter') ?? '';
  return {
    view: Object.hasOwn(VIEWS, view) ? (view as View) : 'all',
    search: parameters.get('search') ?? '',
    file: parameters.get('file') ?? undefined,
  };
}

/** The parameters of an address for a filter. Leaves defaults out. */
export function pairFilterParameters({ view, search, file }: PairFilter): URLSearchParams {
  return new URLSearchParams({
    ...(view !== 'all' && { filter: view }),
    ...(search !== '' && { search }),
    ...(file !== undefined && { file }),
  });
}

export function categoryCounts(pairs: readonly Pair[]): Record<PairCategory, number> {
  const counts = { all: 0, missing: 0, blank: 0, orphan: 0, warnings: 0 };
  for (const pair of pairs)
    for (const category of PAIR_CATEGORIES) if (isInCategory(pair, category)) counts[category]++;
  return counts;
}

/** Returns a predicate: whether one of the names contains all words of the search. */
export function nameMatcher(search: string): (names: readonly string[]) => boolean {
  const words = foldCase(search).split(/\s+/).filter(Boolean);
  return (names) =>
    words.length === 0 || names.map(foldCase).some((name) => words.every((word) => name.includes(word)));
}
