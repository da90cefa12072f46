import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import type { Duplicates, DatasetWithFiles } from '../../src/client/client.js';
import { type Pair, pairsOf } from '../live/pairs.js';
import { useClient } from '../session/client.js';
import { useRecentChange } from '../undo/recent-change.js';
import { reviewGroupsOf } from './review-groups.js';

/** Pictures that arrive, are hashed or go together cause one comparison. */
const SETTLE_MS = 600;

/** Only where no event tells that images were hashed. */
const PENDING_MS = 5000;

export const NOT_COMPARED = 'Could not compare the pictures.';

export const duplicatesKey = (datasetId: string) => ['duplicates', datasetId] as const;

/** The duplicates of a dataset, compared again when its pictures change. */
export function useDuplicates(dataset: DatasetWithFiles) {
  const { id, files } = dataset;
  const client = useClient();
  const queries = useQueryClient();
  const { data, error, refetch } = useQuery({
    queryKey: duplicatesKey(id),
    queryFn: ({ signal }) => client.duplicates.list(id, { signal }),
    refetchOnMount: 'always',
    refetchInterval: ({ state }: { state: { data: Duplicates | undefined } }) =>
      (state.data?.pending ?? 0) > 0 && PENDING_MS,
  });
  const compared = useMemo(
    () =>
      files
        // A hash comes with its placeholder; of a caption, only whether there is one counts.
        .map(({ kind, filename, sha256, thumbhash = '' }) =>
          kind === 'caption' ? filename : `${filename} ${sha256} ${thumbhash}`,
        )
        .join(),
    [files],
  );
  // Another tab, or an undo, may have changed what is remembered.
  const change = useRecentChange(id)?.change;
  const version = useMemo(() => ({ compared, change }), [compared, change]);
  const [first] = useState(version);
  useEffect(() => {
    if (version === first) return;
    const timer = setTimeout(() => void queries.invalidateQueries({ queryKey: duplicatesKey(id) }), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [queries, id, version, first]);
  const groups = useMemo(() => data && reviewGroupsOf(data.groups, pairsByFile(dataset)), [data, dataset]);
  return {
    /** `undefined` until the service has answered. */
    groups,
    /** Images that are not compared yet. */
    pending: data?.pending ?? 0,
    error,
    retry: () => void refetch(),
  };
}

function pairsByFile(dataset: DatasetWithFiles): ReadonlyMap<string, Pair> {
  return new Map(pairsOf(dataset).flatMap((pair) => pair.media.map(({ filename }) => [filename, pair] as const)));
}
