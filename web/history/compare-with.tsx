import { useId } from 'react';
import type { Revision } from '../../src/client/client.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { useRevisions } from './use-history.js';
import { howOf } from './words.js';

interface CompareWithProps {
  readonly datasetId: string;
  readonly number: number;
  /** The revision that it is compared with; 0 for no files. */
  readonly value: number | undefined;
  readonly onChange: (from: number) => void;
}

/** Chooses the revision that another one is compared with. */
export function CompareWith({ datasetId, number, value, onChange }: CompareWithProps) {
  const id = useId();
  const { data, hasNextPage, fetchNextPage } = useRevisions(datasetId);
  const others = data?.pages.flatMap(({ revisions }) => revisions).filter((other) => other.number !== number) ?? [];
  const isListed = value === 0 || others.some((other) => other.number === value);
  return (
    <div className="flex flex-wrap items-center gap-2 text-sm">
      <label htmlFor={id} className="text-muted">
        Compared with
      </label>
      <select
        id={id}
        value={value ?? ''}
        onChange={({ target }) => (target.value === 'older' ? void fetchNextPage() : onChange(Number(target.value)))}
        className="min-h-9 touch max-w-full rounded-lg border border-line bg-panel px-2"
      >
        {value === undefined && <option value="">Choose a revision</option>}
        {value !== undefined && !isListed && <option value={value}>Revision {value}</option>}
        {others.map((other) => (
          <option key={other.number} value={other.number}>
            {labelOf(other)}
          </option>
        ))}
        {hasNextPage && <option value="older">Older …</option>}
        <option value={0}>No files</option>
      </select>
    </div>
  );
}

function labelOf(revision: Revision): string {
  return `Revision ${revision.number} · ${howOf(revision)} · ${momentOf(dateOf(revision.changed_at))}`;
}
