import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useRoute } from 'wouter';
import type { TrainyardClient } from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { applyChange, isGone, refetchDatasetSoon } from './dataset.js';
import { putDataset, removeDataset } from './datasets.js';

/** The pause before the event stream is opened again; the polling interval where a proxy blocks event streams. */
const RECONNECT_MS = 5000;

/**
 * Keeps the page up to date by one event stream, of the dataset that it shows or of all datasets, or else by polling. A hidden
 * tab closes its stream, because a browser allows few connections to a host.
 */
export function Live() {
  const client = useClient();
  const queries = useQueryClient();
  const [, parameters] = useRoute('/datasets/:id/:view?');
  const id = parameters?.id;
  useEffect(() => {
    let following = new AbortController();
    const stream = (signal: AbortSignal) =>
      id === undefined ? followAll(client, queries, signal) : followDataset(client, queries, { id, signal });
    const followWhileVisible = () => {
      following.abort();
      following = new AbortController();
      if (document.visibilityState !== 'hidden') void follow(stream, queries, following.signal);
    };
    followWhileVisible();
    document.addEventListener('visibilitychange', followWhileVisible);
    return () => {
      document.removeEventListener('visibilitychange', followWhileVisible);
      following.abort();
    };
  }, [client, queries, id]);
  return null;
}

/** Opens a stream again whenever it has ended, unless its dataset is gone. */
async function follow(
  stream: (signal: AbortSignal) => Promise<void>,
  queries: QueryClient,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    let isOver = false;
    try {
      await stream(signal);
    } catch (error) {
      // The refetch below fails with the same error, and the page shows it.
      isOver = isGone(error);
    }
    if (!isOver) await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    if (signal.aborted) return;
    refetchAll(queries);
    if (isOver) return;
  }
}

async function followAll(client: TrainyardClient, queries: QueryClient, signal: AbortSignal): Promise<void> {
  for await (const event of client.allEvents({ signal })) {
    if (event.type === 'open') refetchAll(queries);
    if (event.type === 'dataset') {
      putDataset(queries, event.dataset);
      refetchDatasetSoon(queries, event.dataset.id);
    }
    if (event.type === 'deleted') {
      removeDataset(queries, event.id);
      refetchDatasetSoon(queries, event.id);
    }
  }
}

async function followDataset(
  client: TrainyardClient,
  queries: QueryClient,
  { id, signal }: { id: string; signal: AbortSignal },
): Promise<void> {
  // The first event names no files, so that the dataset is fetched: changes before it may have been missed.
  const known = new Set<string>();
  const openedAt = Date.now();
  for await (const change of client.events(id, { signal, linked: true })) {
    const isFirst = !known.has(change.id);
    known.add(change.id);
    applyChange(queries, change, isFirst ? openedAt : undefined);
    // A change of a control or the mask changes what is said about the pairs. The first event of each stream is not a change.
    if (!isFirst && change.id !== id) refetchDatasetSoon(queries, id);
  }
  // If the dataset was deleted, the page shows the 404 of the service.
  if (!signal.aborted) refetchDatasetSoon(queries, id);
}

function refetchAll(queries: QueryClient): void {
  for (const key of ['datasets', 'caption-runs']) void queries.invalidateQueries({ queryKey: [key] });
  for (const query of queries.getQueryCache().findAll({ queryKey: ['dataset'], type: 'active' })) {
    refetchDatasetSoon(queries, String(query.queryKey[1]));
  }
}
