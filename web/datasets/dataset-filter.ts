import type { Dataset, Status } from '../../src/client/client.js';

/** Orders of the list; the first is what a person gets without asking. */
export const SORTS = { newest: 'Newest', changed: 'Last changed', name: 'Name', size: 'Largest' } as const;
export type Sort = keyof typeof SORTS;

export const STATUSES = ['DRAFT', 'UPLOADING', 'READY', 'FAILED'] as const satisfies readonly Status[];

/** Which datasets are shown, and in which order. */
export interface DatasetFilter {
  readonly search: string;
  readonly status: Status | undefined;
  readonly sort: Sort;
}

export interface FilteredDatasets {
  readonly shown: readonly Dataset[];
  /** How many the search finds, by status. */
  readonly counts: Readonly<Record<Status, number>>;
}

const COLLATOR = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

const ORDERS: Record<Sort, (a: Dataset, b: Dataset) => number> = {
  newest: (a, b) => compareDescending(a.created_at, b.created_at),
  changed: (a, b) => compareDescending(a.updated_at, b.updated_at),
  name: (a, b) => COLLATOR.compare(a.name, b.name),
  size: (a, b) => b.size_bytes - a.size_bytes,
};

export function filterDatasets(
  datasets: readonly Dataset[],
  { search, status, sort }: DatasetFilter,
): FilteredDatasets {
  const words = foldedOf(search).split(' ').filter(Boolean);
  const found = datasets.filter(({ name }) => {
    const folded = foldedOf(name);
    return words.every((word) => folded.includes(word));
  });
  const counts = { DRAFT: 0, UPLOADING: 0, READY: 0, FAILED: 0 };
  for (const dataset of found) counts[dataset.status]++;
  const shown = status === undefined ? found : found.filter((dataset) => dataset.status === status);
  return { shown: shown.toSorted(ORDERS[sort]), counts };
}

/** The choice that an address holds; what it doesn't know is as if it were not there. */
export function datasetFilterOf(parameters: URLSearchParams): DatasetFilter {
  const sort = parameters.get('sort') ?? '';
  return {
    search: parameters.get('search') ?? '',
    status: STATUSES.find((status) => status === parameters.get('status')),
    sort: sort in SORTS ? (sort as Sort) : 'newest',
  };
}

/** The address's own parameters with those that differ from what is usual. */
export function datasetFilterParametersOf({ search, status, sort }: DatasetFilter): URLSearchParams {
  return new URLSearchParams({
    ...(search !== '' && { search }),
    ...(status !== undefined && { status }),
    ...(sort !== 'newest' && { sort }),
  });
}

/** Times on the wire are of one form, so that they sort as texts do. */
function compareDescending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}

function foldedOf(text: string): string {
  return text.normalize('NFC').toLowerCase();
}
