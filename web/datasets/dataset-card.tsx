import { Trash2 } from 'lucide-react';
import { memo } from 'react';
import { Link } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { contentsOf } from '../live/datasets.js';
import { RoleBadge } from '../roles/role-badge.js';
import { WriteButton } from '../session/write-button.js';
import { countOf, numberOf, sizeOf } from '../ui/format.js';
import { StatusBadge } from '../ui/status-badge.js';
import { RelativeTime } from './relative-time.js';
import { ThumbnailStrip } from './thumbnail-strip.js';

/** All cards have this height, so that the grid can lay out thousands and render only the visible ones. */
export const DATASET_CARD_HEIGHT_REM = 14.75;

interface DatasetCardProps {
  readonly dataset: Dataset;
  /** False while the list scrolls; thumbnails then wait. */
  readonly canLoad: boolean;
  readonly onDelete: (dataset: Dataset) => void;
}

/** A dataset in the list. The whole card is a link to its page. */
export const DatasetCard = memo(function DatasetCard({ dataset, canLoad, onDelete }: DatasetCardProps) {
  const { id, name, role, status, counts, size_bytes, updated_at } = dataset;
  const isEmpty = counts.images + counts.videos + counts.captions === 0;
  return (
    <article className="group relative flex h-full flex-col rounded-xl border border-line bg-panel hover:border-accent">
      <ThumbnailStrip dataset={dataset} canLoad={canLoad} />
      <div className="flex min-h-0 grow flex-col gap-1 px-4 pt-3 pb-1.5">
        <div className="flex items-center gap-2">
          <h2 className="min-w-0 grow truncate font-semibold" title={name}>
            <Link href={`/datasets/${id}`} className="py-1 after:absolute after:inset-0 after:rounded-xl">
              {name}
            </Link>
          </h2>
          <StatusBadge status={status} />
        </div>
        <p className="flex items-center gap-2 text-sm text-muted">
          <span className="min-w-0 grow truncate">{isEmpty ? 'No files yet' : contentsOf(dataset).join(' · ')}</span>
          <RoleBadge role={role} />
        </p>
        <p className="truncate text-sm text-muted">
          {size_bytes > 0 && `${sizeOf(size_bytes)} · `}
          <RelativeTime time={updated_at} />
        </p>
        <div className="mt-auto -mr-2.5 flex items-center gap-2 text-sm">
          <div className="min-w-0 grow">
            <State dataset={dataset} />
          </div>
          {/* `relative` puts it above the link, which covers the card. */}
          <WriteButton
            kind="quiet"
            aria-label={`Delete ${name}`}
            onClick={() => onDelete(dataset)}
            className="relative shrink-0 px-2 text-muted hover:text-bad"
          >
            <Trash2 size={16} aria-hidden />
          </WriteButton>
        </div>
      </div>
    </article>
  );
});

/** The error of a FAILED dataset, or the progress of an UPLOADING one. */
function State({ dataset }: { dataset: Dataset }) {
  const { status, error, counts } = dataset;
  if (status === 'FAILED' && error !== undefined) {
    return (
      <p className="truncate text-bad" title={error.message}>
        {error.message}
      </p>
    );
  }
  if (status !== 'UPLOADING') return null;
  const uploaded = counts.images + counts.videos + counts.captions;
  if (counts.pending === 0) {
    return <p className="truncate text-busy">{waitingTextOf(counts)}</p>;
  }
  return (
    <div className="flex items-center gap-2 text-busy">
      <progress
        value={uploaded}
        max={uploaded + counts.pending}
        aria-label={`Uploaded files of ${dataset.name}`}
        className="h-1.5 min-w-0 grow appearance-none overflow-hidden rounded-full bg-busy-soft [&::-moz-progress-bar]:bg-busy [&::-webkit-progress-bar]:bg-busy-soft [&::-webkit-progress-value]:bg-busy"
      />
      {numberOf(uploaded)} of {numberOf(uploaded + counts.pending)}
    </div>
  );
}

function waitingTextOf({ checking, uncaptioned, unpaired }: Dataset['counts']): string {
  if (checking > 0) return `Checking ${countOf(checking, 'file')}`;
  if (uncaptioned > 0) return `Waiting for ${countOf(uncaptioned, 'caption')}`;
  return unpaired > 0 ? 'Waiting for controls or masks' : 'Waiting for more files';
}
