import type { Dataset, Status } from '../../src/client/client.js';
import { nameMatcher } from '../live/pairs.js';

/** Sort orders of the list, with their labels. The first is the default. */
export const SORTS = { newest: 'Newest', changed: 'Last changed', name: 'Name', size: 'Largest' } as const;
type Sort = keyof typeof SORTS;

export const STATUSES = ['DRAFT', 'UPLOADING', 'READY', 'FAILED'] as const satisfies readonly Status[];

/** The datasets to show, and their order. */
export type DatasetListFilter = ReturnType<typeof parseDatasetFilter>;

const COLLATOR = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

const ORDERS: Record<Sort, (a: Dataset, b: Dataset) => number> = {
  newest: (a, b) => compareDescending(a.created_at, b.created_at),
  changed: (a, b) => compareDescending(a.updated_at, b.updated_at),
  name: (a, b) => COLLATOR.compare(a.name, b.name),
  size: (a, b) => b.size_bytes - a.size_bytes,
};

/** The datasets to show, and the number of those that match the search, by status: their names contain every word of it. */
export function filterDatasets(datasets: readonly Dataset[], { search, status, sort }: DatasetListFilter) {
  const matches = nameMatcher(search);
  const found = datasets.filter(({ name }) => matches([name]));
  const counts = { DRAFT: 0, UPLOADING: 0, READY: 0, FAILED: 0 };
  for (const dataset of found) counts[dataset.status]++;
  const shown = status === undefined ? found : found.filter((dataset) => dataset.status === status);
  return { shown: foldLinked(shown.toSorted(ORDERS[sort])), counts };
}

/** Puts controls and masks under the training datasets that use them, where those are shown. */
function foldLinked(datasets: readonly Dataset[]) {
  const byId = new Map(datasets.map((dataset) => [dataset.id, dataset]));
  const folded = new Set(datasets.flatMap(({ linked_ids = [] }) => linked_ids));
  return datasets
    .filter(({ id }) => !folded.has(id))
    .map((dataset) => ({ dataset, linked: (dataset.linked_ids ?? []).flatMap((id) => byId.get(id) ?? []) }));
}

/** Parses the filter from the URL's query. Unknown values are ignored. */
export function parseDatasetFilter(query: URLSearchParams) {
  return {
    search: query.get('search') ?? '',
    status: STATUSES.find((status) => status === query.get('status')),
    sort: (Object.keys(SORTS) as Sort[]).find((sort) => sort === query.get('sort')) ?? 'newest',
  };
}

/** The URL's query for a filter, without the defaults. */
export function formatDatasetFilter({ search, status, sort }: DatasetListFilter): URLSearchParams {
  return new URLSearchParams({
    ...(search !== '' && { search }),
    ...(status !== undefined && { status }),
    ...(sort !== 'newest' && { sort }),
  });
}

/** Compares times of the API, whose format sorts as text. */
function compareDescending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}
