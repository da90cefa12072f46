import { ArrowLeft } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { type DatasetWithFiles, TrainyardError } from '../../src/client/client.js';
import { CaptionsView } from '../captions/captions-view.js';
import { DatasetActions } from '../datasets/dataset-actions.js';
import { FitnessView } from '../fitness/fitness-view.js';
import { useDataset } from '../live/dataset.js';
import { contentsOf } from '../live/datasets.js';
import { PairsView } from '../pairs/pairs-view.js';
import { Button } from '../ui/button.js';
import { messageOf, sizeOf } from '../ui/format.js';
import { StatusBadge } from '../ui/status-badge.js';

const VIEWS: Record<string, { label: string; show: (dataset: DatasetWithFiles) => ReactNode }> = {
  files: { label: 'Files', show: (dataset) => <PairsView dataset={dataset} /> },
  captions: { label: 'Captions', show: (dataset) => <CaptionsView dataset={dataset} /> },
  fitness: { label: 'Fit to train?', show: (dataset) => <FitnessView dataset={dataset} /> },
};

/** The page of one dataset: a header and one of its views. */
export function DatasetPage({ id, view }: { id: string; view: string }) {
  const { data: dataset, error, refetch } = useDataset(id);
  if (error instanceof TrainyardError && error.status === 404) return <NotFound />;
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
      <nav aria-label="Views of the dataset" className="flex gap-1 border-b border-line">
        {Object.entries(VIEWS).map(([name, { label }]) => (
          <Link
            key={name}
            href={name === 'files' ? `/datasets/${id}` : `/datasets/${id}/${name}`}
            aria-current={name === view ? 'page' : undefined}
            className="border-b-2 border-transparent px-3 py-2 text-sm font-medium text-muted hover:text-text aria-[current=page]:border-accent aria-[current=page]:text-text"
          >
            {label}
          </Link>
        ))}
      </nav>
      {VIEWS[view]?.show(dataset) ?? <p>This view does not exist.</p>}
    </>
  );
}

function Header({ dataset }: { dataset: DatasetWithFiles }) {
  const { name, status, counts, size_bytes, error } = dataset;
  return (
    <header className="flex flex-col gap-1">
      <div className="flex flex-wrap items-center gap-3">
        <Link href="/" aria-label="All datasets" title="All datasets" className="rounded-lg p-2 hover:bg-raised">
          <ArrowLeft size={18} aria-hidden />
        </Link>
        <h1 className="text-xl font-semibold break-all">{name}</h1>
        <span aria-live="polite">
          <StatusBadge status={status} />
        </span>
        <span className="text-sm text-muted">{[...contentsOf(counts), sizeOf(size_bytes)].join(' · ')}</span>
        <DatasetActions dataset={dataset} />
      </div>
      {error !== undefined && <p className="text-sm text-bad">{error.message}</p>}
    </header>
  );
}

function NotFound() {
  return (
    <p role="alert">
      This dataset does not exist. It may have been deleted.{' '}
      <Link href="/" className="underline">
        All datasets
      </Link>
    </p>
  );
}
