import { type QueryClient, useQuery } from '@tanstack/react-query';
import { useClient } from '../session/client.js';

/**
 * The pause after fetching a dataset with all its files, which is a large answer for a large dataset: at least `MIN_GAP_MS`, and
 * at least `GAP_PER_DURATION` times as long as the fetch took.
 */
const MIN_GAP_MS = 400;
const GAP_PER_DURATION = 4;

/** How long read links are used. They are valid for at least an hour. */
const LINKS_MS = 30 * 60_000;

const keyOf = (id: string) => ['dataset', id];

/** A dataset with its files, kept up to date by `Live`. */
export function useDataset(id: string) {
  const client = useClient();
  return useQuery({ queryKey: keyOf(id), queryFn: ({ signal }) => client.status(id, { signal }) });
}

/** Signed links, with which the browser loads the files of a dataset without a token. */
export function useLinks(id: string) {
  const client = useClient();
  return useQuery({
    queryKey: ['links', id],
    queryFn: ({ signal }) => client.links(id, { signal }),
    staleTime: LINKS_MS,
    refetchInterval: LINKS_MS,
    refetchOnWindowFocus: true,
  }).data;
}

/** Refetches in flight, by dataset id. With `isRequestedAgain`, another one follows. */
const refetches = new Map<string, { isRequestedAgain: boolean }>();

/** Fetches a dataset again if it is shown, and marks it as stale otherwise. Changes in quick succession share one request. */
export function refetchDatasetSoon(queries: QueryClient, id: string): void {
  const running = refetches.get(id);
  if (running !== undefined) {
    running.isRequestedAgain = true;
    return;
  }
  const query = queries.getQueryCache().find({ queryKey: keyOf(id) });
  if (query?.isActive() !== true) {
    void queries.invalidateQueries({ queryKey: keyOf(id), refetchType: 'none' });
    return;
  }
  const own = { isRequestedAgain: false };
  refetches.set(id, own);
  void refetch(queries, id).then(() => {
    refetches.delete(id);
    if (own.isRequestedAgain) refetchDatasetSoon(queries, id);
  });
}

async function refetch(queries: QueryClient, id: string): Promise<void> {
  const startedAt = performance.now();
  // Restarting a request that is in flight could delay the answer for ever under frequent changes.
  await queries.refetchQueries({ queryKey: keyOf(id) }, { cancelRefetch: false });
  const gap = Math.max(MIN_GAP_MS, (performance.now() - startedAt) * GAP_PER_DURATION);
  await new Promise((resolve) => setTimeout(resolve, gap));
}

/** Fetches a deleted dataset again if it is shown, so that its page shows the 404 of the service. */
export function refetchDeletedDataset(queries: QueryClient, id: string): void {
  void queries.invalidateQueries({ queryKey: keyOf(id) });
}
