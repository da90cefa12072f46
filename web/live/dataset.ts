import { type QueryClient, useQuery } from '@tanstack/react-query';
import type { TrainyardClient } from '../../src/client/client.js';
import { useClient } from '../session/client.js';

/** Of a status with all files, which is large for a large dataset: never more often than this, and never all the time. */
const SHORTEST_GAP_MS = 400;
const GAP_PER_DURATION = 4;

/** How long a link for reading is used; the service gives it for an hour at the least. */
const LINKS_MS = 30 * 60_000;

const keyOf = (id: string) => ['dataset', id];

/** A dataset with its files, kept up to date by `Live`. */
export function useDataset(id: string) {
  const client = useClient();
  return useQuery({ queryKey: keyOf(id), queryFn: ({ signal }) => client.status(id, { signal }) });
}

/** Addresses under which the browser itself can load the files of a dataset. */
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

interface Refetching {
  isAskedAgain: boolean;
}
const refetching = new Map<string, Refetching>();

/** Asks for a dataset that is shown, soon: changes that come together are asked for together. */
export function refetchDatasetSoon(queries: QueryClient, client: TrainyardClient, id: string): void {
  const running = refetching.get(id);
  if (running !== undefined) {
    running.isAskedAgain = true;
    return;
  }
  if (
    queries
      .getQueryCache()
      .find({ queryKey: keyOf(id) })
      ?.isActive() !== true
  ) {
    // Nobody looks at it: it is asked for when somebody does.
    void queries.invalidateQueries({ queryKey: keyOf(id), refetchType: 'none' });
    return;
  }
  const own: Refetching = { isAskedAgain: false };
  refetching.set(id, own);
  void refetch(queries, id).then(() => {
    refetching.delete(id);
    if (own.isAskedAgain) refetchDatasetSoon(queries, client, id);
  });
}

async function refetch(queries: QueryClient, id: string): Promise<void> {
  const begun = performance.now();
  // Not begun anew where one is under way: a change a moment ago must not put the answer off for ever.
  await queries.refetchQueries({ queryKey: keyOf(id) }, { cancelRefetch: false });
  const gap = Math.max(SHORTEST_GAP_MS, (performance.now() - begun) * GAP_PER_DURATION);
  await new Promise((resolve) => setTimeout(resolve, gap));
}

/** It was deleted: whoever looks at it hears so from the service. */
export function forgetDataset(queries: QueryClient, id: string): void {
  void queries.invalidateQueries({ queryKey: keyOf(id) });
}
