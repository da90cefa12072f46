import { useQueries, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { LINK_SLOTS, linksIn } from '../../src/dataset/pairs/roles.js';
import { useClient } from '../session/client.js';
import { filesByStem, type LinkedDataset } from './counterparts.js';
import { datasetQuery, refetchDatasetSoon } from './dataset.js';

/** The controls and the mask of a dataset, kept up to date by `Live`; none for most datasets. */
export function useLinkedDatasets({ links }: Pick<DatasetWithFiles, 'links'>) {
  const client = useClient();
  const queries = useQueryClient();
  const linked = linksIn(links);
  const key = JSON.stringify(linked.map(({ slot, dataset_id, name }) => [slot, dataset_id, name]));
  const results = useQueries({ queries: linked.map(({ dataset_id }) => datasetQuery(client, queries, dataset_id)) });
  const known = results.map(({ data }) => data?.files);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` stands for `linked`, and the files for `known`
  const datasets = useMemo<readonly LinkedDataset[]>(
    () =>
      linked.map(({ slot, dataset_id, name }, index) => {
        const files = known[index];
        return { slot, id: dataset_id, name, files: files && filesByStem(files) };
      }),
    [key, ...Array.from({ length: LINK_SLOTS.length }, (_, index) => known[index])],
  );
  return {
    linked: datasets,
    /** Why a linked dataset could not be read. */
    error: results.find(({ error, data }) => error !== null && data === undefined)?.error ?? null,
    retry: () => {
      for (const { dataset_id } of linked) refetchDatasetSoon(queries, dataset_id);
    },
  };
}
