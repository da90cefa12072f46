import { FILTERS, type Filter, fits, type Pair } from '../live/pairs.js';

/** What is listed: pairs that a filter lets through, or uploads that were refused. */
export type View = Filter | 'rejected';

export const VIEWS = {
  all: 'All',
  missing: 'No caption',
  blank: 'Blank',
  orphan: 'Caption only',
  warnings: 'Warnings',
  rejected: 'Rejected',
} as const satisfies Record<View, string>;

/** What of a dataset is shown, as the address says it. */
export interface Choice {
  readonly view: View;
  readonly search: string;
  /** A file that somebody was sent to. */
  readonly file: string | undefined;
}

/** The choice that an address holds; what it doesn't know is as if it were not there. */
export function choiceOf(parameters: URLSearchParams): Choice {
  const view = parameters.get('filter') ?? '';
  return {
    view: Object.hasOwn(VIEWS, view) ? (view as View) : 'all',
    search: parameters.get('search') ?? '',
    file: parameters.get('file') ?? undefined,
  };
}

/** Those of an address that differ from what is usual. */
export function parametersOf({ view, search, file }: Choice): URLSearchParams {
  return new URLSearchParams({
    ...(view !== 'all' && { filter: view }),
    ...(search !== '' && { search }),
    ...(file !== undefined && { file }),
  });
}

export function countsOf(pairs: readonly Pair[]): Record<Filter, number> {
  const counts = { all: 0, missing: 0, blank: 0, orphan: 0, warnings: 0 };
  for (const pair of pairs) for (const filter of FILTERS) if (fits(pair, filter)) counts[filter]++;
  return counts;
}

/** Whether one of the names holds all the words of the search. */
export function searching(search: string): (names: readonly string[]) => boolean {
  const words = foldedOf(search).split(/\s+/).filter(Boolean);
  return (names) =>
    words.length === 0 || names.map(foldedOf).some((name) => words.every((word) => name.includes(word)));
}

function foldedOf(text: string): string {
  return text.normalize('NFC').toLowerCase();
}
