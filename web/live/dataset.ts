import { type QueryClient, queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import {
  type DatasetChange,
  type DatasetWithFiles,
  type TrainyardClient,
  TrainyardError,
} from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { putRuns, refetchRuns } from './caption-runs.js';
import { datasetAfter } from './dataset-after.js';

/**
 * The pause after fetching a dataset with all its files, which is a large answer for a large dataset: at least `MIN_GAP_MS`, and
 * at least `GAP_PER_DURATION` times as long as the fetch took.
 */
const MIN_GAP_MS = 400;
const GAP_PER_DURATION = 4;

/** How long read links are used. They are valid for at least an hour. */
const LINKS_MS = 30 * 60_000;

/** Between two checks whether announced files are still being sent. */
const WAITING_MS = 15_000;

const keyOf = (id: string) => ['dataset', id] as const;

/** The changes that arrive while a dataset is being fetched, by its id: the answer may be older than they are. */
const changesDuringFetch = new Map<string, DatasetChange[]>();

/** A dataset with its files, kept up to date by `Live`. */
export function useDataset(id: string) {
  return useQuery(datasetQuery(useClient(), useQueryClient(), id));
}

/** The query of `useDataset`. */
export function datasetQuery(client: TrainyardClient, queries: QueryClient, id: string) {
  return queryOptions({
    queryKey: keyOf(id),
    queryFn: async ({ signal }) => {
      const changes: DatasetChange[] = [];
      changesDuringFetch.set(id, changes);
      try {
        let [dataset, isCurrent] = [await client.status(id, { signal }), true];
        for (const change of changes) {
          const next = datasetAfter(dataset, change);
          if (next !== undefined) dataset = next;
          // The first event of a stream names no files. A fetch that began before the stream was opened has missed nothing if
          // the last activity is the same.
          else if (dataset.updated_at !== change.updated_at || dataset.status !== change.status) isCurrent = false;
        }
        // A request at this moment would share the answer that has just arrived.
        if (!isCurrent) setTimeout(() => refetchDatasetSoon(queries, id));
        return dataset;
      } finally {
        if (changesDuringFetch.get(id) === changes) changesDuringFetch.delete(id);
      }
    },
    // No event tells that a client has stopped to send.
    refetchInterval: ({ state: { data } }) => data !== undefined && isWaiting(data) && WAITING_MS,
  });
}

/** Whether the service says that a dataset does not exist. A proxy may answer any other 404. */
export function isGone(error: unknown): boolean {
  return error instanceof TrainyardError && error.code === 'dataset_not_found';
}

function isWaiting({ status, counts, interrupted }: DatasetWithFiles): boolean {
  return status === 'UPLOADING' && counts.pending > 0 && interrupted !== true;
}

/** The digest of a READY dataset. Events do not have it, so it is read when it is shown. */
export function useDigest(dataset: DatasetWithFiles): string | undefined {
  const queries = useQueryClient();
  useEffect(() => {
    if (dataset.status === 'READY' && dataset.digest === undefined) refetchDatasetSoon(queries, dataset.id);
  }, [queries, dataset]);
  return dataset.digest;
}

/**
 * Updates the dataset that is shown by an event of its stream, or fetches it again if the event does not tell enough.
 *
 * @param openedAt for the first event of a dataset: when the stream was requested, as `Date.now()`
 */
export function applyChange(queries: QueryClient, change: DatasetChange, openedAt = Number.POSITIVE_INFINITY): void {
  const { caption_runs: runs, ...summary } = change;
  if (runs !== undefined) putRuns(queries, change.id, runs);
  // Progress before the first event of a stream may have been missed.
  else if (change.files === undefined) void refetchRuns(queries, change.id);
  const queryKey = keyOf(change.id);
  const changes = changesDuringFetch.get(change.id);
  if (changes !== undefined) {
    changes.push(summary);
    return;
  }
  const { data: known, dataUpdatedAt = 0 } = queries.getQueryState<DatasetWithFiles>(queryKey) ?? {};
  const isOnlyProgress = runs !== undefined && summary.files?.length === 0 && summary.absent?.length === 0;
  // An answer that came after the stream was requested has missed nothing.
  const isJustRead = dataUpdatedAt >= openedAt;
  const isSame = known?.updated_at === summary.updated_at && known.status === summary.status;
  if ((isOnlyProgress || isJustRead) && isSame) return;
  const next = known && datasetAfter(known, summary);
  if (next !== undefined) {
    queries.setQueryData(queryKey, next);
    return;
  }
  refetchDatasetSoon(queries, change.id);
}

/** Signed links, with which the browser loads the files of a dataset without a token. */
export function useLinks(id: string) {
  const client = useClient();
  return useQuery({
    queryKey: ['links', id],
    queryFn: ({ signal }) => client.downloadLinks(id, { signal }),
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
