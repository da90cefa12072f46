import { useState } from 'react';
import { useDataset } from '../../live/dataset.js';
import type { Pair } from '../../live/pairs.js';
import { useCanWrite } from '../../session/account.js';
import { useConnect } from '../../session/client.js';
import { DeletePairsDialog } from './delete-pairs-dialog.js';
import { deleteFiles, retryDeletion, useDeletion } from './deletion.js';

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
