import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import type { Dataset } from '../../src/client/client.js';
import { removeDataset } from '../live/datasets.js';
import { useClient } from '../session/client.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { countOf, messageOf, sizeOf } from '../ui/format.js';

interface DeleteDatasetDialogProps {
  readonly dataset: Dataset;
  readonly onClose: () => void;
  readonly onDeleted: () => void;
}

/** Deletes a dataset for good, once its name has been typed. */
export function DeleteDatasetDialog({ dataset, onClose, onDeleted }: DeleteDatasetDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [typed, setTyped] = useState('');
  const [refusal, setRefusal] = useState('');
  const [isDeleting, setDeleting] = useState(false);
  const { id, name, counts, size_bytes } = dataset;
  const files = counts.images + counts.videos + counts.captions;
  const isMeant = typed.trim().normalize('NFC') === name;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!isMeant) return;
    setDeleting(true);
    try {
      await client.remove(id);
      removeDataset(queries, id);
      onDeleted();
    } catch (error) {
      setRefusal(messageOf(error));
      setDeleting(false);
    }
  };

  return (
    <Dialog title="Delete this dataset?" onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <p>
          <strong className="break-all">{name}</strong> goes with{' '}
          {files === 0 ? 'nothing in it' : `all of its ${countOf(files, 'file')} (${sizeOf(size_bytes)})`}, and can not
          be brought back.
        </p>
        <div className="flex flex-col gap-1.5">
          <label htmlFor="name-again" className="text-sm font-medium">
            Type its name to delete it
          </label>
          <input
            id="name-again"
            autoComplete="off"
            spellCheck={false}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            placeholder={name}
            aria-describedby="delete-fault"
            className="rounded-lg border border-line bg-page px-3 py-2"
          />
          <p id="delete-fault" role="alert" className="text-sm text-bad empty:hidden">
            {refusal}
          </p>
        </div>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="danger" disabled={!isMeant || isDeleting}>
            {isDeleting ? 'Deleting …' : 'Delete for good'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
