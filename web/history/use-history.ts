import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { useClient } from '../session/client.js';

const REVISIONS_PER_PAGE = 50;
const FILES_PER_PAGE = 200;

const keyOf = (datasetId: string) => ['revisions', datasetId];

/** The revisions of a dataset, newest first, page by page. */
export function useRevisions(datasetId: string) {
  const client = useClient();
  return useInfiniteQuery({
    queryKey: [...keyOf(datasetId), 'list'],
    queryFn: ({ pageParam, signal }) =>
      client.history.revisions(
        datasetId,
        { limit: REVISIONS_PER_PAGE, ...(pageParam !== undefined && { before: pageParam }) },
        { signal },
      ),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ next_before }) => next_before ?? undefined,
  });
}

/** A revision, and the kept one before it. Either is `undefined` if the history has none. */
export function useRevision(datasetId: string, number: number) {
  const client = useClient();
  return useQuery({
    queryKey: [...keyOf(datasetId), number],
    queryFn: async ({ signal }) => {
      const { revisions } = await client.history.revisions(datasetId, { limit: 2, before: number + 1 }, { signal });
      const [first, second] = revisions;
      return first?.number === number
        ? { revision: first, previous: second }
        : { revision: undefined, previous: undefined };
    },
  });
}

/** All files of a revision. */
export function useRevisionFiles(datasetId: string, number: number) {
  const client = useClient();
  return useQuery({
    queryKey: [...keyOf(datasetId), number, 'files'],
    queryFn: async ({ signal }) => (await client.history.revision(datasetId, number, { signal })).manifest,
  });
}

/** The files that differ between two revisions, page by page. */
export function useRevisionDiff(datasetId: string, { from, to }: { from: number; to: number }) {
  const client = useClient();
  return useInfiniteQuery({
    queryKey: [...keyOf(datasetId), 'diff', from, to],
    queryFn: ({ pageParam, signal }) =>
      client.history.diff(
        datasetId,
        { from, to, limit: FILES_PER_PAGE, ...(pageParam !== undefined && { after: pageParam }) },
        { signal },
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_after }) => next_after ?? undefined,
  });
}

/** Returns a function that reads the history of a dataset again. */
export function useRefetchHistory(datasetId: string): () => void {
  const queries = useQueryClient();
  return useCallback(() => void queries.invalidateQueries({ queryKey: keyOf(datasetId) }), [queries, datasetId]);
}

/** Reads the history again whenever the dataset has changed. */
export function useLiveHistory(dataset: DatasetWithFiles): void {
  const refetch = useRefetchHistory(dataset.id);
  const known = useRef(dataset);
  useEffect(() => {
    if (known.current === dataset) return;
    known.current = dataset;
    refetch();
  }, [dataset, refetch]);
}
