import type { DatasetWithFiles } from '../../src/client/client.js';
import { TERM_KINDS, type TermKind } from '../captions/terms/terms.js';
import { isUnpaired, type LinkedDataset } from '../live/counterparts.js';
import { type PairCategory, isInCategory, type Pair } from '../live/pairs.js';
import { countOf, numberOf } from '../ui/format.js';
import { PAIR_ORDERS, type PairOrder } from './pair-order.js';

/** The content of the grid: pairs, or rejected uploads. */
export type PairView = PairCategory | 'unpaired' | 'unused' | 'duplicates' | 'rejected';

export const PAIR_VIEWS = {
  all: 'All',
  missing: 'No caption',
  blank: 'Blank',
  duplicates: 'Same caption',
  orphan: 'Caption only',
  unpaired: 'No control or mask',
  unused: 'Unused captions',
  warnings: 'Warnings',
  rejected: 'Rejected',
} as const satisfies Record<PairView, string>;

/** A tag or word that captions contain. */
interface ChosenTerm {
  readonly kind: TermKind;
  readonly term: string;
}

/** Selects and orders the part of a dataset that is shown. It is part of the page's address. */
export interface WorkbenchFilter {
  readonly view: PairView;
  readonly term: ChosenTerm | undefined;
  /** As it is typed; see search/query.ts. */
  readonly search: string;
  readonly order: PairOrder;
  /** A file to scroll to. */
  readonly file: string | undefined;
}

export const NO_FILTER: WorkbenchFilter = {
  view: 'all',
  term: undefined,
  search: '',
  order: 'name',
  file: undefined,
};

/** Reads the filter from the parameters of an address. Ignores values that it does not know. */
export function workbenchFilterOf(parameters: URLSearchParams): WorkbenchFilter {
  const view = parameters.get('filter') ?? '';
  const order = parameters.get('sort') ?? '';
  const kind = TERM_KINDS.find((each) => parameters.has(each));
  return {
    view: Object.hasOwn(PAIR_VIEWS, view) ? (view as PairView) : 'all',
    term: kind && { kind, term: parameters.get(kind) ?? '' },
    search: parameters.get('q') ?? '',
    order: Object.hasOwn(PAIR_ORDERS, order) ? (order as PairOrder) : 'name',
    file: parameters.get('file') ?? undefined,
  };
}

/** The parameters of an address for a filter. Leaves defaults out. */
export function workbenchParameters({ view, term, search, order, file }: WorkbenchFilter): URLSearchParams {
  return new URLSearchParams({
    ...(view !== 'all' && { filter: view }),
    ...(term !== undefined && { [term.kind]: term.term }),
    ...(search !== '' && { q: search }),
    ...(order !== 'name' && { sort: order }),
    ...(file !== undefined && { file }),
  });
}

/** What a filter is chosen by. While it stays the same, its pairs and their order do. */
export function filterKeyOf({ view, term, search, order }: WorkbenchFilter): string {
  return JSON.stringify([view, term, search, order]);
}

/** The views that tell something about a dataset: only a training dataset needs captions, and controls and masks if it has links. */
export function viewsOf({ role, links }: Pick<DatasetWithFiles, 'role' | 'links'>): PairView[] {
  if (role !== 'training') return ['all', 'unused', 'warnings', 'rejected'];
  return [
    'all',
    'missing',
    'blank',
    'duplicates',
    'orphan',
    ...(links === undefined ? [] : (['unpaired'] as const)),
    'warnings',
    'rejected',
  ];
}

/** What a filter is answered from. What is known of captions once their texts are read is by stem, for newer objects too. */
interface MatchOptions {
  readonly linked: readonly LinkedDataset[];
  /** Of captions that contain the chosen term. */
  readonly term: ReadonlySet<string> | undefined;
  /** Of captions that have the same text as another one. */
  readonly duplicates: ReadonlySet<string> | undefined;
}

interface SearchOptions extends MatchOptions {
  /** `undefined` until the search can be answered. */
  readonly isFound: ((pair: Pair) => boolean) | undefined;
}

/** The pairs that match a filter; `undefined` until the captions are read that it asks about. */
export function matchesOf(
  { view, term }: Pick<WorkbenchFilter, 'view' | 'term'>,
  pairs: readonly Pair[],
  { isFound, ...known }: SearchOptions,
): readonly Pair[] | undefined {
  if (isFound === undefined) return undefined;
  if (term !== undefined && known.term === undefined) return undefined;
  if (view === 'duplicates' && known.duplicates === undefined) return undefined;
  return pairs.filter(
    (pair) =>
      isInView(pair, view, known) && (term === undefined || known.term?.has(pair.stem) === true) && isFound(pair),
  );
}

function isInView(pair: Pair, view: PairView, { linked, duplicates }: MatchOptions): boolean {
  switch (view) {
    case 'rejected':
      // They are listed instead of pairs.
      return false;
    case 'unpaired':
      return isUnpaired(pair, linked);
    case 'unused':
      return pair.caption !== undefined;
    case 'duplicates':
      return duplicates?.has(pair.stem) === true;
    default:
      return isInCategory(pair, view);
  }
}

/** The number of pairs in each of the views. Rejected uploads are not pairs. */
export function viewCounts(
  pairs: readonly Pair[],
  views: readonly PairView[],
  known: MatchOptions,
): Map<PairView, number> {
  const ofPairs = views.filter((view) => view !== 'rejected');
  return new Map(ofPairs.map((view) => [view, pairs.filter((pair) => isInView(pair, view, known)).length]));
}

/** `25 pairs`, `7 of 25 written`, or `12 pairs, 3 changed`: pairs that are shown, and those that no longer match the filter. */
export function shownText({ view, term }: WorkbenchFilter, shown: number, done: number): string {
  const asksForWords = term === undefined && (view === 'missing' || view === 'blank');
  if (asksForWords && shown > 0) return `${numberOf(done)} of ${numberOf(shown)} written`;
  return countOf(shown, 'pair') + (done > 0 ? `, ${numberOf(done)} changed` : '');
}

/** What a change to many captions applies to: `all captions`, `captions with the tag “snow”`, `captions of the pairs that are shown`. */
export function scopeText(filter: WorkbenchFilter, selected: number): string {
  if (selected > 0) return `captions of ${countOf(selected, 'selected pair')}`;
  const { view, term, search } = filter;
  if (view !== 'all' || search !== '') return 'captions of the pairs that are shown';
  return term === undefined ? 'all captions' : `captions with the ${term.kind} “${term.term}”`;
}
