import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import type { TrainyardClient } from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { refetchDeletedDataset, refetchDatasetSoon } from './dataset.js';
import { putDataset, refetchDatasets, removeDataset } from './datasets.js';

/** The pause before the event stream is opened again; the polling interval where a proxy blocks event streams. */
const RECONNECT_MS = 5000;

/**
 * Keeps the page up to date by one event stream, and by polling where no stream can be opened. A hidden tab closes its
 * stream, because a browser allows few connections to a host.
 */
export function Live() {
  const client = useClient();
  const queries = useQueryClient();
  useEffect(() => {
    let following: AbortController | undefined;
    const followWhileVisible = () => {
      following?.abort();
      following = undefined;
      if (document.visibilityState === 'hidden') return;
      following = new AbortController();
      void follow(client, queries, following.signal);
    };
    followWhileVisible();
    document.addEventListener('visibilitychange', followWhileVisible);
    return () => {
      document.removeEventListener('visibilitychange', followWhileVisible);
      following?.abort();
    };
  }, [client, queries]);
  return null;
}

async function follow(client: TrainyardClient, queries: QueryClient, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of client.allEvents({ signal })) {
        if (event.type === 'open') refetchAll(queries);
        if (event.type === 'dataset') {
          putDataset(queries, event.dataset);
          refetchDatasetSoon(queries, event.dataset.id);
        }
        if (event.type === 'deleted') {
          removeDataset(queries, event.id);
          refetchDeletedDataset(queries, event.id);
        }
      }
    } catch {
      // The refetch below fails with the same error, and the page shows it.
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    if (!signal.aborted) refetchAll(queries);
  }
}

function refetchAll(queries: QueryClient): void {
  refetchDatasets(queries);
  for (const query of queries.getQueryCache().findAll({ queryKey: ['dataset'], type: 'active' })) {
    refetchDatasetSoon(queries, String(query.queryKey[1]));
  }
}
