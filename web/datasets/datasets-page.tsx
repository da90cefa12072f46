import { Plus } from 'lucide-react';
import { useCallback, useDeferredValue, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { GuideLink } from '../guide/guide-panel.js';
import { useDatasets } from '../live/datasets.js';
import { NewDatasetDialog } from '../new-dataset/new-dataset-dialog.js';
import { WriteButton } from '../session/write-button.js';
import { Answer } from '../ui/answer.js';
import { Button } from '../ui/button.js';
import { loadedLater } from '../ui/loaded-later.js';
import { AddFolderButton } from '../upload/add-files/add-buttons.js';
import { filterDatasets, foldLinked, formatDatasetFilter, parseDatasetFilter } from './dataset-filter.js';
import type { DatasetVerb } from './dataset-card.js';
import { DatasetFilterBar } from './dataset-filter-bar.js';
import { DatasetGrid } from './dataset-grid.js';
import { DeleteDatasetDialog } from './delete-dataset-dialog.js';
import { FirstSteps } from './first-steps.js';
import { SettingsDialog } from './settings-dialog.js';

const ShareDialog = loadedLater(async () => (await import('../share/share-dialog.js')).ShareDialog);

/** The page with all datasets of the account. */
export function DatasetsPage() {
  const datasets = useDatasets();
  const [dialog, setDialog] = useState<'new' | { readonly verb: DatasetVerb; readonly dataset: Dataset }>();
  const open = useCallback((verb: DatasetVerb, dataset: Dataset) => setDialog({ verb, dataset }), []);
  const close = useCallback(() => setDialog(undefined), []);
  return (
    <>
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="mr-auto text-xl font-semibold">Datasets</h1>
        <GuideLink place="page">Guide</GuideLink>
        <AddFolderButton datasetId={undefined} />
        <WriteButton kind="primary" onClick={() => setDialog('new')}>
          <Plus size={16} aria-hidden /> New dataset
        </WriteButton>
      </div>
      <Answer of={datasets}>
        {(all) =>
          all.length === 0 ? (
            <FirstSteps onNew={() => setDialog('new')} />
          ) : (
            <FilteredGrid datasets={all} onVerb={open} />
          )
        }
      </Answer>
      {dialog === 'new' && <NewDatasetDialog taken={new Set(datasets.data?.map(({ name }) => name))} onClose={close} />}
      {typeof dialog === 'object' && <VerbDialog {...dialog} onClose={close} />}
    </>
  );
}

interface VerbDialogProps {
  readonly verb: DatasetVerb;
  readonly dataset: Dataset;
  readonly onClose: () => void;
}

function VerbDialog({ verb, dataset, onClose }: VerbDialogProps) {
  switch (verb) {
    case 'settings':
      return <SettingsDialog dataset={dataset} onClose={onClose} />;
    case 'share':
      return <ShareDialog dataset={dataset} onClose={onClose} />;
    case 'delete':
      return <DeleteDatasetDialog dataset={dataset} onClose={onClose} onDeleted={onClose} />;
  }
}

interface FilteredGridProps {
  readonly datasets: readonly Dataset[];
  readonly onVerb: (verb: DatasetVerb, dataset: Dataset) => void;
}

function FilteredGrid({ datasets, onVerb }: FilteredGridProps) {
  const [query, setQuery] = useSearchParams();
  const filter = useMemo(() => parseDatasetFilter(query), [query]);
  // The search field updates first, the cards after it.
  const deferred = useDeferredValue(filter);
  const { shown, counts } = useMemo(() => {
    const { shown, counts } = filterDatasets(datasets, deferred);
    return { shown: foldLinked(shown), counts };
  }, [datasets, deferred]);
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
        <DatasetGrid datasets={shown} onVerb={onVerb} />
      )}
    </>
  );
}
