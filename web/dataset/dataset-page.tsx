import { Link } from 'wouter';
import { FitnessView } from '../fitness/fitness-view.js';
import { HistoryView } from '../history/history-view.js';
import { isGone, useDataset } from '../live/dataset.js';
import { TrainView } from '../train/train-view.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { PageBody } from '../ui/page-body.js';
import { InterruptedUpload } from '../upload/interrupted/interrupted-upload.js';
import { Workbench } from '../workbench/workbench.js';
import { DatasetHeader } from './dataset-header.js';
import { DatasetMenus } from './dataset-menus.js';
import { DatasetNav, type DatasetViewsByName, ShownView } from './dataset-views.js';

const VIEWS: DatasetViewsByName = {
  workbench: { label: 'Workbench', show: (dataset) => <Workbench dataset={dataset} /> },
  fitness: { label: 'Fit to train?', show: (dataset) => <FitnessView dataset={dataset} /> },
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
  if (dataset === undefined || isGone(error)) {
    return (
      <>
        {null}
        <PageBody>
          {isGone(error) ? (
            <NotFound />
          ) : error === null ? (
            <p aria-live="polite">Loading …</p>
          ) : (
            <div role="alert" className="flex items-center gap-3">
              {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
            </div>
          )}
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

function NotFound() {
  return (
    <p role="alert">
      This dataset does not exist. It may have been deleted.{' '}
      <Link href="/" className="py-1 underline">
        All datasets
      </Link>
    </p>
  );
}
