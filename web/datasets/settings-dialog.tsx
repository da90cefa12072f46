import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import type { Role } from '../../src/dataset/dataset.js';
import { parseDatasetName } from '../../src/dataset/names.js';
import { refetchDatasetSoon } from '../live/dataset.js';
import { putDataset } from '../live/datasets.js';
import { datasetNameErrorOf, NameField } from '../new-dataset/name-field.js';
import { useClient } from '../session/client.js';
import { FormDialog } from '../session/dialog-form.js';
import { numberOf } from '../ui/format.js';
import { RoleChoice } from '../roles/role-choice.js';

const NO_NAMES: ReadonlySet<string> = new Set();

interface SettingsDialogProps {
  /** `undefined`: a new one is created, and its page opened. */
  readonly dataset: Dataset | undefined;
  /** Names of existing datasets, which a new one can't have. */
  readonly taken?: ReadonlySet<string>;
  readonly onClose: () => void;
}

/** Asks for the name and the role of a new dataset, or changes them. */
export function SettingsDialog({ dataset, taken = NO_NAMES, onClose }: SettingsDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  // As they were when the dialog opened: another client may change one of them meanwhile.
  const [opened] = useState(dataset);
  const [name, setName] = useState(opened?.name ?? '');
  const [role, setRole] = useState<Role>(opened?.role ?? 'training');
  // The service makes a name for a new one.
  const isNameless = dataset === undefined && name.trim() === '';
  const nameError = isNameless ? '' : datasetNameErrorOf(name, taken);
  const captions = dataset?.counts.captions ?? 0;

  const create = async () => {
    const created = await client.create(isNameless ? undefined : parseDatasetName(name), { role });
    putDataset(queries, created);
    navigate(`/datasets/${created.id}`);
  };
  const change = async ({ id }: Dataset) => {
    const changed = {
      ...(name !== opened?.name && { name: parseDatasetName(name) }),
      ...(role !== opened?.role && { role }),
    };
    if (Object.keys(changed).length > 0) {
      putDataset(queries, await client.datasets.change(id, changed));
      refetchDatasetSoon(queries, id);
    }
    onClose();
  };

  return (
    <FormDialog
      title={dataset === undefined ? 'New dataset' : `Name and role of ${dataset.name}`}
      onClose={onClose}
      work={() => (dataset === undefined ? create() : change(dataset))}
      label={dataset === undefined ? 'Create' : 'Save'}
      busyLabel={dataset === undefined ? 'Creating …' : 'Saving …'}
      isDisabled={nameError !== ''}
    >
      <NameField
        name={name}
        error={nameError}
        help={
          dataset === undefined
            ? 'Leave it empty to get a generated name.'
            : 'Machines that mount the dataset find it under the new name from then on.'
        }
        onChange={setName}
      />
      <RoleChoice role={role} onChange={setRole} />
      {role !== 'training' && captions > 0 && (
        <p className="text-sm text-warn">
          The captions of this dataset ({numberOf(captions)}) will not be used. They are kept.
        </p>
      )}
    </FormDialog>
  );
}
