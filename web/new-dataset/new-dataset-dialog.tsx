import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { Role } from '../../src/dataset/dataset.js';
import { parseDatasetName } from '../../src/dataset/names.js';
import { putDataset } from '../live/datasets.js';
import { RoleChoice } from '../roles/role-choice.js';
import { useClient } from '../session/client.js';
import { FormDialog } from '../session/dialog-form.js';
import { datasetNameErrorOf, NameField } from './name-field.js';

interface NewDatasetDialogProps {
  /** Names of existing datasets. */
  readonly taken: ReadonlySet<string>;
  readonly onClose: () => void;
}

/** Asks for a name and a role, creates the dataset and opens its page. */
export function NewDatasetDialog({ taken, onClose }: NewDatasetDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('training');
  const nameError = name.trim() === '' ? '' : datasetNameErrorOf(name, taken);
  const create = async () => {
    const created = await client.create(name.trim() === '' ? undefined : parseDatasetName(name), { role });
    putDataset(queries, created);
    navigate(`/datasets/${created.id}`);
  };
  return (
    <FormDialog
      title="New dataset"
      onClose={onClose}
      work={create}
      label="Create"
      busyLabel="Creating …"
      isDisabled={nameError !== ''}
    >
      <NameField name={name} error={nameError} help="Leave it empty to get a generated name." onChange={setName} />
      <RoleChoice role={role} onChange={setRole} />
    </FormDialog>
  );
}
