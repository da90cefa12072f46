import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { withKey } from '../keys.js';
import { Thumbnail } from '../live/thumbnail.js';
import { ReviewChip, ReviewLink } from '../review.js';
import { countOf, numberOf } from '../ui/format.js';
import { LoadFailure } from '../ui/loaded.js';
import { Panel } from '../ui/panel.js';
import { suggestedRemovals } from './review-groups.js';
import { NOT_COMPARED, useDuplicates } from './use-duplicates.js';

const SHOWN_GROUPS = 12;

/** How many groups of duplicates a dataset has, and the first of them, each a link to its review. */
export function DuplicatesPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const { groups, pending, error, retry } = useDuplicates(dataset);
  const address = `/datasets/${dataset.id}/duplicates`;
  const going = groups?.reduce((sum, group) => sum + suggestedRemovals(group).size, 0) ?? 0;
  return (
    <Panel
      title="Duplicates"
      aside={
        groups !== undefined &&
        groups.length > 0 && (
          <ReviewLink href={address} title={withKey('Duplicates', 'duplicates')}>
            Review {countOf(groups.length, 'group')}
          </ReviewLink>
        )
      }
    >
      {groups === undefined && error !== null ? (
        <LoadFailure error={error} what={NOT_COMPARED} onRetry={retry} />
      ) : (
        <p role="status" className="text-sm text-muted">
          {groups === undefined
            ? 'Comparing the pictures …'
            : groups.length === 0
              ? 'No two pictures look alike.'
              : `${countOf(groups.length, 'group')} of pictures that look alike or have the same bytes. ${numberOf(going)} could go. A picture that is there twice counts twice in the training.`}
        </p>
      )}
      <PendingNote pending={pending} />
      {groups !== undefined && groups.length > 0 && (
        <ul aria-label="Groups of duplicates" className="flex flex-wrap gap-2">
          {groups.slice(0, SHOWN_GROUPS).map(({ key, candidates }) => {
            const { file } = candidates[0]!;
            return (
              <li key={key}>
                <Link
                  href={`${address}?group=${encodeURIComponent(file.filename)}`}
                  title={`${file.filename}, ${countOf(candidates.length, 'picture')}`}
                  className="relative flex size-24 items-center justify-center overflow-hidden rounded-lg border border-line bg-raised text-muted hover:border-accent"
                >
                  <span className="sr-only">Review {file.filename}</span>
                  <Thumbnail datasetId={dataset.id} file={file} />
                  <span className="absolute right-1 bottom-1 rounded-full bg-panel px-1.5 text-xs text-text tabular-nums">
                    {numberOf(candidates.length)}
                  </span>
                </Link>
              </li>
            );
          })}
        </ul>
      )}
    </Panel>
  );
}

/** The thumbnails of the first cards come before it. */
const AFTER_PICTURES_MS = 1500;

/** A link to the review in the bar of the workbench, if there are duplicates. */
export function DuplicatesChip({ dataset }: { dataset: DatasetWithFiles }) {
  const [isDue, setDue] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setDue(true), AFTER_PICTURES_MS);
    return () => clearTimeout(timer);
  }, []);
  return isDue && dataset.role === 'training' ? <Chip dataset={dataset} /> : null;
}

function Chip({ dataset }: { dataset: DatasetWithFiles }) {
  const { groups = [] } = useDuplicates(dataset);
  return <ReviewChip datasetId={dataset.id} view="duplicates" words="Duplicates" count={groups.length} />;
}

/** Says that the list of duplicates is not complete. */
export function PendingNote({ pending }: { pending: number }) {
  if (pending === 0) return null;
  return (
    <p role="status" className="text-sm text-busy">
      {countOf(pending, 'picture')} {pending === 1 ? 'is' : 'are'} not compared yet.
    </p>
  );
}
