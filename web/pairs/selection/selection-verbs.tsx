import { Columns2, Trash2, X } from 'lucide-react';
import { Link } from 'wouter';
import { withKey } from '../../keys.js';
import { WriteButton } from '../../session/write-button.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import type { Deletion } from './deletion.js';

interface SelectionVerbsProps {
  /** With two to four pairs. */
  readonly onCompare: (() => void) | undefined;
  readonly onCopy: (verb: 'copy' | 'move') => void;
  readonly onDelete: () => void;
  readonly onSelectNone: () => void;
}

/** What can be done with the selected pairs. */
export function SelectionVerbs({ onCompare, onCopy, onDelete, onSelectNone }: SelectionVerbsProps) {
  return (
    <div className="flex flex-wrap items-center gap-1">
      {onCompare !== undefined && (
        <Button icon={Columns2} title={withKey('Compare the selected pictures', 'compare')} onClick={onCompare}>
          <span className="max-sm:sr-only">Compare</span>
        </Button>
      )}
      <WriteButton
        title={withKey('Copy the selected pairs to another dataset', 'copyTo')}
        onClick={() => onCopy('copy')}
      >
        Copy
      </WriteButton>
      <WriteButton
        title={withKey('Move the selected pairs to another dataset', 'moveTo')}
        onClick={() => onCopy('move')}
      >
        Move
      </WriteButton>
      <WriteButton
        icon={Trash2}
        kind="danger"
        title={withKey('Delete the selected pairs', 'remove')}
        onClick={onDelete}
      >
        Delete
      </WriteButton>
      <Button
        kind="quiet"
        aria-label="Clear the selection"
        title={withKey('Clear the selection', 'selectNone')}
        onClick={onSelectNone}
      >
        <X size={16} aria-hidden />
      </Button>
    </div>
  );
}

export function DeletionProgress({ deletion: { done, total } }: { deletion: Deletion }) {
  return (
    <div className="flex shrink-0 items-center gap-2 text-sm">
      <progress aria-label="Deleting" value={done} max={total} className="w-20 accent-accent" />
      <span className="tabular-nums">
        Deleting {numberOf(done)} of {numberOf(total)}
      </span>
    </div>
  );
}

interface DeletionFailuresProps {
  readonly datasetId: string;
  readonly deletion: Deletion;
  readonly onRetry: () => void;
  readonly onDismiss: () => void;
}

/** The files that could not be deleted, each with the reason. */
export function DeletionFailures({ datasetId, deletion, onRetry, onDismiss }: DeletionFailuresProps) {
  const { failures, isRunning } = deletion;
  if (isRunning || failures.length === 0) return null;
  return (
    <div
      role="alert"
      className="absolute inset-x-4 top-full mt-2 flex flex-col gap-2 rounded-xl border border-bad bg-panel p-4 shadow-lg"
    >
      <p className="font-medium text-bad">{countOf(failures.length, 'file')} could not be deleted.</p>
      <LongList label="Not deleted" items={failures}>
        {({ filename, reason }) => (
          <p className="py-1 text-sm wrap-anywhere">
            <Link href={`/datasets/${datasetId}?file=${encodeURIComponent(filename)}`} className="font-bold text-link">
              {filename}
            </Link>
            : {reason}
          </p>
        )}
      </LongList>
      <div className="flex gap-2">
        <Button onClick={onRetry}>Try again</Button>
        <Button kind="quiet" onClick={onDismiss}>
          Dismiss
        </Button>
      </div>
    </div>
  );
}
