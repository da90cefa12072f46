import { keepPreviousData, type QueryClient, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { CaptionRun, DatasetWithFiles } from '../../src/client/client.js';
import { stemOf } from '../../src/dataset/media.js';
import { useClient, useIsShared } from '../session/client.js';

/** The list may be long. */
const PROPOSALS_POLL_MS = 5000;

/** More than a dataset has files. */
const ALL = 20_000;

const runsKey = (datasetId: string) => ['caption-runs', datasetId] as const;

/** Whether a model still writes captions, or they are being stored. */
export function isActive({ state }: CaptionRun): boolean {
  return state === 'running' || state === 'ending';
}

/** The runs in which a model writes captions of a training dataset, newest first. Events keep them up to date. */
export function useCaptionRuns({ id, role }: Pick<DatasetWithFiles, 'id' | 'role'>): readonly CaptionRun[] {
  const client = useClient();
  const enabled = !useIsShared() && role === 'training';
  const { data } = useQuery({
    queryKey: runsKey(id),
    queryFn: ({ signal }) => client.captioning.runs(id, { signal }),
    enabled,
    refetchOnMount: 'always',
  });
  return data ?? NO_RUNS;
}

/** Updates the runs by those that an event reports. */
export function putRuns(queries: QueryClient, datasetId: string, changed: readonly CaptionRun[]): void {
  const queryKey = runsKey(datasetId);
  const known = queries.getQueryData<CaptionRun[]>(queryKey);
  // An answer that is on its way may be older than the event.
  if (known === undefined || queries.isFetching({ queryKey }) > 0) {
    void refetchRuns(queries, datasetId);
    return;
  }
  const byId = new Map([...changed, ...known].toReversed().map((run) => [run.id, run]));
  queries.setQueryData(
    queryKey,
    [...byId.values()].toSorted((a, b) => (a.started_at < b.started_at ? 1 : -1)),
  );
}

const NO_RUNS: readonly CaptionRun[] = [];

/** Reads the runs and the proposals of a dataset again, after a start or a decision. */
export function refetchRuns(queries: QueryClient, datasetId: string): Promise<void> {
  return queries.invalidateQueries({ queryKey: runsKey(datasetId) });
}

/** The stems of the pairs for which a model proposes another caption. */
export function useProposedStems(dataset: Pick<DatasetWithFiles, 'id' | 'role'>): ReadonlySet<string> {
  const client = useClient();
  const { id } = dataset;
  const runs = useCaptionRuns(dataset);
  const open = runs.reduce((sum, { counts }) => sum + counts.proposed, 0);
  const areRunning = runs.some(isActive);
  const { data } = useQuery({
    queryKey: ['caption-proposals', id, areRunning ? 'some' : open],
    queryFn: ({ signal }) => client.captioning.proposals(id, { limit: ALL, texts: 'false' }, { signal }),
    enabled: open > 0,
    refetchInterval: areRunning && PROPOSALS_POLL_MS,
    placeholderData: keepPreviousData,
    // A later run may have as many.
    gcTime: 0,
  });
  return useMemo(
    () => (data === undefined || open === 0 ? NONE : new Set(data.proposals.map(({ filename }) => stemOf(filename)))),
    [data, open],
  );
}

const NONE: ReadonlySet<string> = new Set();
