import { ArrowLeft } from 'lucide-react';
import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { CaptionsView } from '../captions/captions-view.js';
import { DatasetActions } from '../datasets/dataset-actions.js';
import { FitnessView } from '../fitness/fitness-view.js';
import { HistoryView } from '../history/history-view.js';
import { DatasetViews, type DatasetViewsByName } from './dataset-views.js';
import { isGone, useDataset } from '../live/dataset.js';
import { contentsOf } from '../live/datasets.js';
import { LinksLine } from '../links/links-line.js';
import { PairsView } from '../pairs/pairs-view.js';
import { RoleBadge } from '../roles/role-badge.js';
import { Button } from '../ui/button.js';
import { CopyButton } from '../ui/copy.js';
import { messageOf, sizeOf } from '../ui/format.js';
import { InterruptedUpload } from '../upload/interrupted/interrupted-upload.js';
import { StatusBadge } from '../ui/status-badge.js';

const VIEWS: DatasetViewsByName = {
  files: { label: 'Files', show: (dataset) => <PairsView dataset={dataset} /> },
  captions: {
    label: 'Captions',
    isFor: ({ role }) => role === 'training',
    show: (dataset) => <CaptionsView dataset={dataset} />,
  },
  fitness: { label: 'Fit to train?', show: (dataset) => <FitnessView dataset={dataset} /> },
  history: { label: 'History', show: (dataset) => <HistoryView dataset={dataset} /> },
};

/** The page of one dataset: a header and one of its views. */
export function DatasetPage({ id, view }: { id: string; view: string }) {
  const { data: dataset, error, refetch } = useDataset(id);
  if (isGone(error)) return <NotFound />;
  if (dataset === undefined) {
    return error === null ? (
      <p aria-live="polite">Loading …</p>
    ) : (
      <div role="alert" className="flex items-center gap-3">
        {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
      </div>
    );
  }
  return (
    <>
      <Header dataset={dataset} />
      <InterruptedUpload dataset={dataset} />
      <DatasetViews views={VIEWS} dataset={dataset} current={view} />
    </>
  );
}

function Header({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, name, role, status, size_bytes, error } = dataset;
  return (
    <header className="flex flex-col gap-1">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Link
          href="/"
          aria-label="All datasets"
          title="All datasets"
          className="-mx-2 inline-flex touch items-center justify-center rounded-lg p-2 hover:bg-raised"
        >
          <ArrowLeft size={18} aria-hidden />
        </Link>
        <h1 className="text-xl font-semibold wrap-anywhere">{name}</h1>
        <span aria-live="polite">
          <StatusBadge status={status} />
        </span>
        <RoleBadge role={role} />
        <span className="flex items-center gap-x-3 text-sm text-muted">
          {[...contentsOf(dataset), sizeOf(size_bytes)].join(' · ')}
          <span className="flex items-center font-mono text-xs" title={`Id: ${id}`}>
            <span className="sr-only">Id</span> {id.slice(0, 8)}
            <CopyButton text={id} what="the id" />
          </span>
        </span>
        <DatasetActions dataset={dataset} />
      </div>
      <LinksLine dataset={dataset} />
      {error !== undefined && <p className="text-sm text-bad">{error.message}</p>}
    </header>
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
