import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import type { Role } from '../../src/dataset/dataset.js';
import { parseDatasetName } from '../../src/dataset/names.js';
import { refetchDatasetSoon } from '../live/dataset.js';
import { putDataset } from '../live/datasets.js';
import { datasetNameErrorOf, NameField } from '../new-dataset/name-field.js';
import { signOutIfUnauthorized, useClient } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { messageOf, numberOf } from '../ui/format.js';
import { RoleChoice } from '../roles/role-choice.js';

const NO_NAMES: ReadonlySet<string> = new Set();

/** Changes the name and the role of a dataset. */
export function SettingsDialog({ dataset, onClose }: { dataset: DatasetWithFiles; onClose: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  // As they were when the dialog opened: another client may change one of them meanwhile.
  const [opened] = useState(dataset);
  const [name, setName] = useState(opened.name);
  const [role, setRole] = useState<Role>(opened.role);
  const [failure, setFailure] = useState('');
  const [isSaving, setSaving] = useState(false);
  const nameError = datasetNameErrorOf(name, NO_NAMES);
  const { captions } = dataset.counts;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setSaving(true);
    setFailure('');
    try {
      const changed = {
        ...(name !== opened.name && { name: parseDatasetName(name) }),
        ...(role !== opened.role && { role }),
      };
      if (Object.keys(changed).length > 0) {
        putDataset(queries, await client.datasets.change(dataset.id, changed));
        refetchDatasetSoon(queries, dataset.id);
      }
      onClose();
    } catch (error) {
      setFailure(messageOf(error));
      signOutIfUnauthorized(error);
      setSaving(false);
    }
  };

  return (
    <Dialog title={`Name and role of ${dataset.name}`} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
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
        <p role="alert" className="text-sm wrap-anywhere text-bad empty:hidden">
          {failure}
        </p>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <WriteButton type="submit" kind="primary" disabled={nameError !== '' || isSaving}>
            {isSaving ? 'Saving …' : 'Save'}
          </WriteButton>
        </div>
      </form>
    </Dialog>
  );
}
