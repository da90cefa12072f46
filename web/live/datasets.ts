import { type QueryClient, useQuery } from '@tanstack/react-query';
import type { Dataset } from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { countOf, sizeOf } from '../ui/format.js';

const KEY = ['datasets'];

/** All datasets, newest first, kept up to date by `Live`. */
export function useDatasets() {
  const client = useClient();
  return useQuery({ queryKey: KEY, queryFn: ({ signal }) => client.list({ signal }) });
}

function changeList(queries: QueryClient, change: (datasets: Dataset[]) => Dataset[]): void {
  const apply = () => void queries.setQueryData<Dataset[]>(KEY, (known) => known && change(known));
  apply();
  // The answer that is on its way may be older than the change.
  void queries
    .getQueryCache()
    .find({ queryKey: KEY })
    ?.promise?.then(apply, () => {});
}

/** Adds a new dataset to the cached list, or replaces one that has changed. */
export function putDataset(queries: QueryClient, dataset: Dataset): void {
  changeList(queries, (known) => {
    const isKnown = known.some(({ id }) => id === dataset.id);
    return isKnown ? known.map((each) => (each.id === dataset.id ? dataset : each)) : [dataset, ...known];
  });
}

export function removeDataset(queries: QueryClient, id: string): void {
  changeList(queries, (known) => known.filter((each) => each.id !== id));
}

/**
 * The number of files of each kind, such as `12 images` and `12 captions`. Leaves out images or clips if there are none, and
 * captions where none are needed.
 */
export function contentsOf({ role, counts: { images, videos, captions } }: Pick<Dataset, 'role' | 'counts'>): string[] {
  return [
    ...(images > 0 ? [countOf(images, 'image')] : []),
    ...(videos > 0 ? [countOf(videos, 'clip')] : []),
    ...(role === 'training' ? [countOf(captions, 'caption')] : []),
    ...(role !== 'training' && captions > 0 ? [countOf(captions, 'unused caption')] : []),
  ];
}

/** Contents and size in a line, such as `12 images · 12 captions · 3.1 MB`; nothing for an empty dataset. */
export function contentsLine(dataset: Pick<Dataset, 'role' | 'counts' | 'size_bytes'>): string {
  const { images, videos, captions } = dataset.counts;
  if (images + videos + captions === 0) return '';
  return [...contentsOf(dataset), sizeOf(dataset.size_bytes)].join(' · ');
}
