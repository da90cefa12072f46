import { Plus } from 'lucide-react';
import { useCallback, useDeferredValue, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { useDatasets } from '../live/datasets.js';
import { NewDatasetDialog } from '../new-dataset/new-dataset-dialog.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { AddFolderButton } from '../upload/add-files/add-buttons.js';
import { filterDatasets, formatDatasetFilter, parseDatasetFilter } from './dataset-filter.js';
import { DatasetFilterBar } from './dataset-filter-bar.js';
import { DatasetGrid } from './dataset-grid.js';
import { DeleteDatasetDialog } from './delete-dataset-dialog.js';
import { FirstSteps } from './first-steps.js';

/** The page with all datasets of the account. */
export function DatasetsPage() {
  const { data: datasets, error, refetch } = useDatasets();
  const [dialog, setDialog] = useState<'new' | Dataset>();
  const close = useCallback(() => setDialog(undefined), []);
  return (
    <>
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="mr-auto text-xl font-semibold">Datasets</h1>
        <AddFolderButton datasetId={undefined} />
        <WriteButton kind="primary" onClick={() => setDialog('new')}>
          <Plus size={16} aria-hidden /> New dataset
        </WriteButton>
      </div>
      {error !== null && (
        <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
          {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
        </div>
      )}
      {datasets === undefined && error === null && <p aria-live="polite">Loading …</p>}
      {datasets?.length === 0 && <FirstSteps onNew={() => setDialog('new')} />}
      {datasets !== undefined && datasets.length > 0 && <FilteredGrid datasets={datasets} onDelete={setDialog} />}
      {dialog === 'new' && <NewDatasetDialog taken={new Set(datasets?.map(({ name }) => name))} onClose={close} />}
      {typeof dialog === 'object' && <DeleteDatasetDialog dataset={dialog} onClose={close} onDeleted={close} />}
    </>
  );
}

function FilteredGrid({ datasets, onDelete }: { datasets: readonly Dataset[]; onDelete: (dataset: Dataset) => void }) {
  const [query, setQuery] = useSearchParams();
  const filter = useMemo(() => parseDatasetFilter(query), [query]);
  // The search field updates first, the cards after it.
  const deferred = useDeferredValue(filter);
  const { shown, counts } = useMemo(() => filterDatasets(datasets, deferred), [datasets, deferred]);
  return (
    <>
      <DatasetFilterBar
        filter={filter}
        counts={counts}
        onChange={(next) => setQuery(formatDatasetFilter(next), { replace: true })}
      />
      {shown.length === 0 ? (
        <p className="flex items-center gap-3 py-8 text-muted">
          No dataset matches.
          <Button onClick={() => setQuery({}, { replace: true })}>Show all</Button>
        </p>
      ) : (
        <DatasetGrid datasets={shown} onDelete={onDelete} />
      )}
    </>
  );
}
