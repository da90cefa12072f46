import { useState } from 'react';
import { useDataset } from '../../live/dataset.js';
import type { Pair } from '../../live/pairs.js';
import { deleteFiles, retryDeletion, useDeletion } from './deletion.js';
import { useCanWrite } from '../../session/account.js';
import { useConnect } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { countOf, numberOf, sizeOf } from '../../ui/format.js';

/** Deletes pairs, after a question. */
export function useDeleting(id: string) {
  const connect = useConnect();
  const canWrite = useCanWrite();
  const { refetch } = useDataset(id);
  const deletion = useDeletion(id);
  const [toDelete, setToDelete] = useState<readonly Pair[]>();
  const options = { connect, datasetId: id, refetch };
  const ask = (pairs: readonly Pair[]) => {
    const remaining = pairs.filter(({ stem }) => !(deletion.isRunning && deletion.stems.has(stem)));
    if (!canWrite || remaining.length === 0) return false;
    setToDelete(remaining);
    return true;
  };
  const deleteNow = (pairs: readonly Pair[]) =>
    void deleteFiles(
      pairs.flatMap(({ stem, files }) => files.map(({ filename, etag }) => ({ stem, filename, etag }))),
      options,
    );
  const question =
    toDelete === undefined ? null : (
      <DeletePairsDialog
        pairs={toDelete}
        isOtherRunning={deletion.isRunning}
        onClose={() => setToDelete(undefined)}
        onConfirm={() => {
          setToDelete(undefined);
          deleteNow(toDelete);
        }}
      />
    );
  return { deletion, ask, deleteNow, question, retry: () => void retryDeletion(options) };
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
    <Dialog title={`Delete ${countOf(files.length, 'file')}?`} onClose={onClose}>
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
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button
          kind="danger"
          disabled={isOtherRunning}
          title={isOtherRunning ? 'Another deletion is still running.' : undefined}
          onClick={onConfirm}
        >
          Delete {countOf(files.length, 'file')}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
