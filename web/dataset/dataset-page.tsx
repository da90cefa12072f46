import { useEffect } from 'react';
import { Link } from 'wouter';
import { drafts } from '../captions/editing/drafts.js';
import { isGone, useDataset } from '../live/dataset.js';
import { LoadFailure } from '../ui/loaded.js';
import { loadedLater } from '../ui/loaded-later.js';
import { PageBody } from '../ui/page-body.js';
import { useTitle } from '../ui/use-title.js';
import { InterruptedUpload } from '../upload/interrupted/interrupted-upload.js';
import { Workbench } from '../workbench/workbench.js';
import { DatasetHeader } from './dataset-header.js';
import { DatasetMenus } from './dataset-menus.js';
import { DatasetNav, type DatasetViewsByName, ShownView } from './dataset-views.js';

const FitnessView = loadedLater(async () => (await import('../fitness/fitness-view.js')).FitnessView);
const DuplicatesView = loadedLater(async () => (await import('../duplicates/duplicates-view.js')).DuplicatesView);
const ProposalsView = loadedLater(async () => (await import('../captioning/proposals-view.js')).ProposalsView);
const HistoryView = loadedLater(async () => (await import('../history/history-view.js')).HistoryView);
const TrainView = loadedLater(async () => (await import('../train/train-view.js')).TrainView);

const VIEWS: DatasetViewsByName = {
  workbench: { label: 'Workbench', show: (dataset) => <Workbench dataset={dataset} /> },
  fitness: { label: 'Fit to train?', show: (dataset) => <FitnessView dataset={dataset} /> },
  duplicates: {
    label: 'Duplicates',
    partOf: 'fitness',
    isFor: ({ role }) => role === 'training',
    show: (dataset) => <DuplicatesView dataset={dataset} />,
  },
  proposals: {
    label: 'Proposals',
    partOf: 'workbench',
    isFor: ({ role }) => role === 'training',
    show: (dataset) => <ProposalsView dataset={dataset} />,
  },
  history: { label: 'History', show: (dataset) => <HistoryView dataset={dataset} /> },
  train: {
    label: 'Train',
    isFor: ({ role }) => role === 'training',
    show: (dataset) => <TrainView dataset={dataset} />,
  },
};

/** The page of one dataset: a header and one of its views. */
export function DatasetPage({ id, view }: { id: string; view: string }) {
  const { data: dataset, error, refetch } = useDataset(id);
  useEffect(() => dataset && drafts.followDataset(dataset), [dataset]);
  if (dataset === undefined || isGone(error)) {
    return (
      <>
        {/* In place of the header, so that the body stays the same element, with its focus. */}
        {null}
        <PageBody>
          <NoDataset error={error} onRetry={refetch} />
        </PageBody>
      </>
    );
  }
  const shown = { views: VIEWS, dataset, current: view };
  return (
    <>
      <DatasetHeader dataset={dataset} views={<DatasetNav {...shown} />}>
        <DatasetMenus dataset={dataset} />
      </DatasetHeader>
      <PageBody>
        <InterruptedUpload dataset={dataset} />
        <ShownView {...shown} />
      </PageBody>
    </>
  );
}

/** A dataset that is read, could not be read, or does not exist. */
function NoDataset({ error, onRetry }: { error: Error | null; onRetry: () => unknown }) {
  useTitle(isGone(error) ? 'Dataset not found' : 'Dataset');
  if (error === null) return <p aria-live="polite">Loading …</p>;
  if (!isGone(error)) return <LoadFailure error={error} onRetry={onRetry} />;
  return (
    <p role="alert">
      This dataset does not exist. It may have been deleted.{' '}
      <Link href="/" className="py-1 underline">
        All datasets
      </Link>
    </p>
  );
}
