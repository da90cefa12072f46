import { Trash2, X } from 'lucide-react';
import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../../src/client/client.js';
import { useIsShared } from '../../session/client.js';
import { WriteButton } from '../../session/write-button.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import type { Deletion } from './deletion.js';

interface SelectionBarProps {
  readonly datasetId: string;
  readonly shown: number;
  readonly selected: number;
  readonly dataset: Pick<DatasetWithFiles, 'awaited' | 'checking'>;
  readonly deletion: Deletion;
  readonly onSelectAll: () => void;
  readonly onSelectNone: () => void;
  readonly onDelete: () => void;
  readonly onRetry: () => void;
  readonly onDismiss: () => void;
}

/** Counts the pairs shown and selected, and deletes the selected ones. Its fixed height keeps the grid below in place. */
export function SelectionBar(props: SelectionBarProps) {
  const { shown, selected, dataset, deletion, onSelectAll, onSelectNone, onDelete } = props;
  const isShared = useIsShared();
  const isAll = selected > 0 && selected === shown;
  const count = (
    <span role="status" className="shrink-0 text-sm font-medium tabular-nums">
      {selected > 0 ? `${numberOf(selected)} of ${numberOf(shown)} selected` : countOf(shown, 'pair')}
    </span>
  );
  return (
    <div className="sticky top-0 z-10 -mx-4 flex h-12 items-center gap-3 border-b border-line bg-page px-4">
      {isShared ? (
        count
      ) : (
        <label className="flex min-h-9 touch shrink-0 items-center gap-2 text-sm">
          <input
            type="checkbox"
            checked={isAll}
            ref={(box) => {
              if (box !== null) box.indeterminate = selected > 0 && !isAll;
            }}
            onChange={isAll ? onSelectNone : onSelectAll}
            aria-label={isAll ? 'Clear the selection' : 'Select all'}
            className="size-5 shrink-0 cursor-pointer accent-accent"
          />
          {count}
        </label>
      )}
      {selected === 0 && <OpenFiles words="Waiting for" files={dataset.awaited} />}
      {selected === 0 && <OpenFiles words="Checking" files={dataset.checking} />}
      <div className="ml-auto flex shrink-0 items-center gap-1">
        {deletion.isRunning ? (
          <DeletionProgress deletion={deletion} />
        ) : (
          selected > 0 && (
            <>
              <WriteButton kind="danger" onClick={onDelete}>
                <Trash2 size={16} aria-hidden /> Delete
              </WriteButton>
              <Button kind="quiet" aria-label="Clear the selection" onClick={onSelectNone}>
                <X size={16} aria-hidden />
              </Button>
            </>
          )
        )}
      </div>
      {!deletion.isRunning && deletion.failures.length > 0 && <Failures {...props} />}
    </div>
  );
}

/** Files that are not in the dataset yet. */
function OpenFiles({ words, files = [] }: { words: string; files: readonly { filename: string }[] | undefined }) {
  if (files.length === 0) return null;
  const names = files.map(({ filename }) => filename).join(', ');
  return (
    <p className="min-w-0 truncate text-sm text-muted" title={names}>
      {words} {countOf(files.length, 'file')}
      <span className="hidden sm:inline">: {names}</span>
    </p>
  );
}

function DeletionProgress({ deletion: { done, total } }: { deletion: Deletion }) {
  return (
    <div className="flex items-center gap-2 text-sm">
      <progress aria-label="Deleting" value={done} max={total} className="w-20 accent-accent sm:w-40" />
      <span className="tabular-nums">
        Deleting {numberOf(done)} of {numberOf(total)}
      </span>
    </div>
  );
}

function Failures({ datasetId, deletion: { failures }, onRetry, onDismiss }: SelectionBarProps) {
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
