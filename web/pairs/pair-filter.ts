import type { DatasetWithFiles } from '../../src/client/client.js';
import { isUnpaired, type LinkedDataset } from '../live/counterparts.js';
import { type PairCategory, isInCategory, type Pair } from '../live/pairs.js';
import { foldCase } from '../ui/format.js';

/** The content of the list: pairs, or rejected uploads. */
export type View = PairCategory | 'unpaired' | 'unused' | 'rejected';

export const VIEWS = {
  all: 'All',
  missing: 'No caption',
  blank: 'Blank',
  orphan: 'Caption only',
  unpaired: 'No control or mask',
  unused: 'Unused captions',
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

/** The views that tell something about a dataset: only a training dataset needs captions, and controls and masks if it has links. */
export function viewsOf({ role, links }: Pick<DatasetWithFiles, 'role' | 'links'>): View[] {
  if (role !== 'training') return ['all', 'unused', 'warnings', 'rejected'];
  return [
    'all',
    'missing',
    'blank',
    'orphan',
    ...(links === undefined ? [] : (['unpaired'] as const)),
    'warnings',
    'rejected',
  ];
}

export function isInView(pair: Pair, view: View, linked: readonly LinkedDataset[]): boolean {
  switch (view) {
    case 'rejected':
      return true;
    case 'unpaired':
      return isUnpaired(pair, linked);
    case 'unused':
      return pair.caption !== undefined;
    default:
      return isInCategory(pair, view);
  }
}

/** The number of pairs in each of the views. Rejected uploads are not pairs. */
export function viewCounts(
  pairs: readonly Pair[],
  views: readonly View[],
  linked: readonly LinkedDataset[],
): Map<View, number> {
  const ofPairs = views.filter((view) => view !== 'rejected');
  return new Map(ofPairs.map((view) => [view, pairs.filter((pair) => isInView(pair, view, linked)).length]));
}

/** Returns a predicate: whether one of the names contains all words of the search. */
export function nameMatcher(search: string): (names: readonly string[]) => boolean {
  const words = foldCase(search).split(/\s+/).filter(Boolean);
  return (names) =>
    words.length === 0 || names.map(foldCase).some((name) => words.every((word) => name.includes(word)));
}
