import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import type { TrainyardClient } from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { forgetDataset, refetchDatasetSoon } from './dataset.js';
import { putDataset, refetchDatasets, removeDataset } from './datasets.js';

/** Between two streams of events. Where none can be had, such as behind a proxy that holds them back, this is how often we ask. */
const PAUSE_MS = 5000;

/**
 * Keeps what is shown as the service has it: by one stream of events while somebody looks at the tab, and by asking every
 * few seconds where the stream can't be had. A hidden tab gives its connection back, since a browser has few for a host.
 */
export function Live() {
  const client = useClient();
  const queries = useQueryClient();
  useEffect(() => {
    let following: AbortController | undefined;
    const followWhileSeen = () => {
      following?.abort();
      following = undefined;
      if (document.visibilityState === 'hidden') return;
      following = new AbortController();
      void follow(client, queries, following.signal);
    };
    followWhileSeen();
    document.addEventListener('visibilitychange', followWhileSeen);
    return () => {
      document.removeEventListener('visibilitychange', followWhileSeen);
      following?.abort();
    };
  }, [client, queries]);
  return null;
}

async function follow(client: TrainyardClient, queries: QueryClient, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of client.allEvents({ signal })) {
        if (event.type === 'open') refetchAll(queries, client);
        if (event.type === 'dataset') {
          putDataset(queries, event.dataset);
          refetchDatasetSoon(queries, client, event.dataset.id);
        }
        if (event.type === 'deleted') {
          removeDataset(queries, event.id);
          forgetDataset(queries, event.id);
        }
      }
    } catch {
      // Whoever asks next hears what is wrong, and says it where it is shown.
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (!signal.aborted) refetchAll(queries, client);
  }
}

function refetchAll(queries: QueryClient, client: TrainyardClient): void {
  refetchDatasets(queries);
  for (const query of queries.getQueryCache().findAll({ queryKey: ['dataset'], type: 'active' })) {
    refetchDatasetSoon(queries, client, String(query.queryKey[1]));
  }
}
