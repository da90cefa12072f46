import { Columns2, Trash2, X } from 'lucide-react';
import { withKey } from '../../keys.js';
import { FileLink } from '../../live/file-link.js';
import { WriteButton } from '../../session/write-button.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf, sizeOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { useDeletion } from './deletion.js';
import { useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { useCanWrite } from '../../session/account.js';
import { FormDialog } from '../../session/dialog-form.js';

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
        icon={X}
        kind="quiet"
        aria-label="Clear the selection"
        title={withKey('Clear the selection', 'selectNone')}
        onClick={onSelectNone}
      />
    </div>
  );
}

export function DeletionProgress({ datasetId }: { datasetId: string }) {
  const { isRunning, done, total } = useDeletion(datasetId);
  if (!isRunning) return null;
  return (
    <div className="flex shrink-0 items-center gap-2 text-sm">
      <progress aria-label="Deleting" value={done} max={total} className="w-20 accent-accent" />
      <span className="tabular-nums">
        Deleting {numberOf(done)} of {numberOf(total)}
      </span>
    </div>
  );
}

/** The files that could not be deleted, each with the reason. */
export function DeletionFailures({ datasetId }: { datasetId: string }) {
  const { failures, isRunning, retry, dismiss } = useDeletion(datasetId);
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
            <FileLink {...{ datasetId, filename }} className="font-bold text-link" />: {reason}
          </p>
        )}
      </LongList>
      <div className="flex gap-2">
        <Button onClick={retry}>Try again</Button>
        <Button kind="quiet" onClick={dismiss}>
          Dismiss
        </Button>
      </div>
    </div>
  );
}

/** Deletes pairs, after a question. */
export function useDeleting(id: string) {
  const canWrite = useCanWrite();
  const { isRunning, stems, remove } = useDeletion(id);
  const [toDelete, setToDelete] = useState<readonly Pair[]>();
  const ask = (pairs: readonly Pair[]) => {
    const remaining = pairs.filter(({ stem }) => !(isRunning && stems.has(stem)));
    if (!canWrite || remaining.length === 0) return false;
    setToDelete(remaining);
    return true;
  };
  const deleteNow = (pairs: readonly Pair[]) => remove(pairs.flatMap(({ files }) => files));
  const close = () => setToDelete(undefined);
  const question = toDelete && (
    <DeletePairsDialog
      pairs={toDelete}
      isOtherRunning={isRunning}
      onClose={close}
      onConfirm={() => {
        close();
        deleteNow(toDelete);
      }}
    />
  );
  return { isRunning, stems, ask, deleteNow, question };
}

const MAX_NAMES = 5;

interface DeletePairsDialogProps {
  readonly pairs: readonly Pair[];
  /** Whether an earlier deletion still runs. */
  readonly isOtherRunning: boolean;
  readonly onClose: () => void;
  readonly onConfirm: () => void;
}

/** Asks for confirmation before pairs are deleted, and lists their files. */
function DeletePairsDialog({ pairs, isOtherRunning, onClose, onConfirm }: DeletePairsDialogProps) {
  const files = pairs.flatMap((pair) => pair.files);
  const bytes = files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  const names = files.map(({ filename }) => filename);
  return (
    <FormDialog
      title={`Delete ${countOf(files.length, 'file')}?`}
      label={`Delete ${countOf(files.length, 'file')}`}
      kind="danger"
      isDisabled={isOtherRunning}
      whyNot={isOtherRunning ? 'Another deletion is still running.' : undefined}
      work={async () => onConfirm()}
      onClose={onClose}
    >
      <p>
        {countOf(pairs.length, 'pair')}, {sizeOf(bytes)}. The history keeps them, so that you can undo this.
      </p>
      <ul className="text-sm text-muted">
        {names.slice(0, MAX_NAMES).map((name) => (
          <li key={name} className="truncate" title={name}>
            {name}
          </li>
        ))}
        {names.length > MAX_NAMES && <li>and {numberOf(names.length - MAX_NAMES)} more</li>}
      </ul>
    </FormDialog>
  );
}
