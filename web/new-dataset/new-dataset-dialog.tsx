import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { useLocation } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { parseDatasetName } from '../../src/dataset/names.js';
import { putDataset } from '../live/datasets.js';
import { useClient } from '../session/client.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { messageOf } from '../ui/format.js';

interface NewDatasetDialogProps {
  /** Names of existing datasets. */
  readonly taken: ReadonlySet<string>;
  readonly onClose: () => void;
  /** Files to upload into the new dataset. */
  readonly upload?: {
    readonly suggestedName: string;
    readonly details: ReactNode;
    readonly submitLabel: string;
    readonly onCreated: (dataset: Dataset) => void;
  };
}

/** Asks for a name, creates the dataset and opens its page. */
export function NewDatasetDialog({ taken, onClose, upload }: NewDatasetDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [name, setName] = useState(upload?.suggestedName ?? '');
  const [failure, setFailure] = useState('');
  const [isCreating, setCreating] = useState(false);
  const nameError = name.trim() === '' ? '' : nameErrorOf(name, taken);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (nameError !== '') return;
    setCreating(true);
    try {
      const created = await client.create(name.trim() === '' ? undefined : parseDatasetName(name));
      putDataset(queries, created);
      upload?.onCreated(created);
      navigate(`/datasets/${created.id}`);
    } catch (error) {
      setFailure(messageOf(error));
      setCreating(false);
    }
  };

  return (
    <Dialog title="New dataset" onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <div className="flex flex-col gap-1.5">
          <label htmlFor="dataset-name" className="text-sm font-medium">
            Name
          </label>
          <input
            id="dataset-name"
            autoComplete="off"
            spellCheck={false}
            value={name}
            onChange={(event) => {
              setName(event.target.value);
              setFailure('');
            }}
            aria-invalid={nameError !== '' || failure !== ''}
            aria-describedby="dataset-name-help dataset-name-error"
            className="rounded-lg border border-line bg-page px-3 py-2"
          />
          <p id="dataset-name-help" className="text-sm text-muted">
            Letters, digits, spaces and <code>. _ -</code>. The trainer finds the dataset in a folder of this name.
            Leave it empty to get a generated name.
          </p>
          <p id="dataset-name-error" role="alert" className="text-sm text-bad empty:hidden">
            {nameError || failure}
          </p>
        </div>
        {upload?.details}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" disabled={nameError !== '' || isCreating}>
            {isCreating ? 'Creating …' : (upload?.submitLabel ?? 'Create')}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Applies the service's own rules. Returns '' for a valid name. */
function nameErrorOf(name: string, taken: ReadonlySet<string>): string {
  try {
    const parsed = parseDatasetName(name);
    return taken.has(parsed) ? `A dataset named "${parsed}" already exists. Choose another name.` : '';
  } catch (error) {
    return messageOf(error);
  }
}
