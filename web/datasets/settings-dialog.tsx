import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
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

/** Changes the name and the role of a dataset. */
export function SettingsDialog({ dataset, onClose }: { dataset: Dataset; onClose: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  // As they were when the dialog opened: another client may change one of them meanwhile.
  const [opened] = useState(dataset);
  const [name, setName] = useState(opened.name);
  const [role, setRole] = useState<Role>(opened.role);
  const nameError = datasetNameErrorOf(name, NO_NAMES);
  const { captions } = dataset.counts;

  const save = async () => {
    const changed = {
      ...(name !== opened.name && { name: parseDatasetName(name) }),
      ...(role !== opened.role && { role }),
    };
    if (Object.keys(changed).length > 0) {
      putDataset(queries, await client.datasets.change(dataset.id, changed));
      refetchDatasetSoon(queries, dataset.id);
    }
    onClose();
  };

  return (
    <FormDialog
      title={`Name and role of ${dataset.name}`}
      onClose={onClose}
      work={save}
      label="Save"
      busyLabel="Saving …"
      isDisabled={nameError !== ''}
    >
      <NameField
        name={name}
        error={nameError}
        help="Machines that mount the dataset find it under the new name from then on."
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
