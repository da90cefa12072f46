import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { useLocation } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import type { Role } from '../../src/dataset/dataset.js';
import { parseDatasetName } from '../../src/dataset/names.js';
import { putDataset } from '../live/datasets.js';
import { useClient } from '../session/client.js';
import { Button } from '../ui/button.js';
import { Dialog, DialogActions } from '../ui/dialog.js';
import { RoleChoice } from '../roles/role-choice.js';
import { messageOf } from '../ui/format.js';
import { datasetNameErrorOf, NameField } from './name-field.js';

interface NewDatasetDialogProps {
  /** Names of existing datasets. */
  readonly taken: ReadonlySet<string>;
  readonly onClose: () => void;
  /** Files to upload into the new dataset. */
  readonly upload?: {
    /** Stands in the field until something is typed; changes when the names of the datasets arrive. */
    readonly suggestedName: string;
    readonly details: ReactNode;
    readonly submitLabel: string;
    readonly onCreated: (dataset: Dataset) => void;
  };
}

/** Asks for a name and a role, creates the dataset and opens its page. */
export function NewDatasetDialog({ taken, onClose, upload }: NewDatasetDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [typed, setTyped] = useState<string>();
  const name = typed ?? upload?.suggestedName ?? '';
  const [role, setRole] = useState<Role>('training');
  const [failure, setFailure] = useState('');
  const [isCreating, setCreating] = useState(false);
  const nameError = name.trim() === '' ? '' : datasetNameErrorOf(name, taken);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (nameError !== '') return;
    setCreating(true);
    // The suggestion is another one as soon as the dataset has this name.
    setTyped(name);
    try {
      const created = await client.create(name.trim() === '' ? undefined : parseDatasetName(name), { role });
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
        <NameField
          name={name}
          error={nameError || failure}
          help="Leave it empty to get a generated name."
          onChange={(next) => {
            setTyped(next);
            setFailure('');
          }}
        />
        <RoleChoice role={role} onChange={setRole} />
        {upload?.details}
        <DialogActions>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" disabled={nameError !== '' || isCreating}>
            {isCreating ? 'Creating …' : (upload?.submitLabel ?? 'Create')}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
