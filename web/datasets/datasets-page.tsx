import { Plus } from 'lucide-react';
import { useCallback, useDeferredValue, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { useDatasets } from '../live/datasets.js';
import { NewDatasetDialog } from '../new-dataset/new-dataset-dialog.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { AddFolderButton } from '../upload/add-files/add-buttons.js';
import { datasetFilterOf, filterDatasets, datasetFilterParametersOf } from './dataset-filter.js';
import { DatasetGrid } from './dataset-grid.js';
import { DeleteDatasetDialog } from './delete-dataset-dialog.js';
import { DatasetFilterBar } from './dataset-filter-bar.js';
import { FirstSteps } from './first-steps.js';

const NONE: readonly Dataset[] = [];

/** All datasets of the account. */
export function DatasetsPage() {
  const { data: datasets, error, refetch } = useDatasets();
  const [asked, setAsked] = useState<'new' | Dataset>();
  const close = useCallback(() => setAsked(undefined), []);
  return (
    <>
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="mr-auto text-xl font-semibold">Datasets</h1>
        <AddFolderButton datasetId={undefined} />
        <Button kind="primary" onClick={() => setAsked('new')}>
          <Plus size={16} aria-hidden /> New dataset
        </Button>
      </div>
      {error !== null && (
        <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
          {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
        </div>
      )}
      {datasets === undefined && error === null && <p aria-live="polite">Loading …</p>}
      {datasets?.length === 0 && <FirstSteps onNew={() => setAsked('new')} />}
      {datasets !== undefined && datasets.length > 0 && <Chosen datasets={datasets} onDelete={setAsked} />}
      {asked === 'new' && <NewDatasetDialog taken={namesOf(datasets ?? NONE)} onClose={close} />}
      {typeof asked === 'object' && <DeleteDatasetDialog dataset={asked} onClose={close} onDeleted={close} />}
    </>
  );
}

function Chosen({ datasets, onDelete }: { datasets: readonly Dataset[]; onDelete: (dataset: Dataset) => void }) {
  const [parameters, setParameters] = useSearchParams();
  const choice = useMemo(() => datasetFilterOf(parameters), [parameters]);
  // Typing comes first, and the cards follow.
  const followed = useDeferredValue(choice);
  const { shown, counts } = useMemo(() => filterDatasets(datasets, followed), [datasets, followed]);
  return (
    <>
      <DatasetFilterBar
        choice={choice}
        counts={counts}
        onChange={(next) => setParameters(datasetFilterParametersOf(next), { replace: true })}
      />
      {shown.length === 0 ? (
        <p className="flex items-center gap-3 py-8 text-muted">
          No dataset is like that.
          <Button onClick={() => setParameters({}, { replace: true })}>Show all</Button>
        </p>
      ) : (
        <DatasetGrid datasets={shown} onDelete={onDelete} />
      )}
    </>
  );
}

function namesOf(datasets: readonly Dataset[]): ReadonlySet<string> {
  return new Set(datasets.map(({ name }) => name));
}
