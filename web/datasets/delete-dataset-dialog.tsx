import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Dataset } from '../../src/client/client.js';
import { DatasetNames } from '../links/links-line.js';
import { datasetQuery } from '../live/dataset.js';
import { removeDataset } from '../live/datasets.js';
import { useClient } from '../session/client.js';
import { FormDialog } from '../session/dialog-form.js';
import { Dialog } from '../ui/dialog.js';
import { TextField } from '../ui/fields.js';
import { countOf, sizeOf } from '../ui/format.js';

interface DeleteDatasetDialogProps {
  readonly dataset: Dataset;
  readonly onClose: () => void;
  readonly onDeleted: () => void;
}

/** Deletes a dataset after the user has typed its name. One that training datasets use can't be deleted. */
export function DeleteDatasetDialog(props: DeleteDatasetDialogProps) {
  const { dataset, onClose } = props;
  const mayBeUsed = dataset.role !== 'training';
  // Read again, because what is known of a dataset that is not shown may be old. The service checks the deletion, too.
  const { data, isFetchedAfterMount } = useQuery({
    ...datasetQuery(useClient(), useQueryClient(), dataset.id),
    enabled: mayBeUsed,
    refetchOnMount: 'always',
  });
  if (mayBeUsed && !isFetchedAfterMount) {
    return (
      <Dialog title="Delete this dataset?" onClose={onClose}>
        <p aria-live="polite">Loading …</p>
      </Dialog>
    );
  }
  const users = data?.linked_from ?? [];
  if (!mayBeUsed || users.length === 0) return <DeleteForm {...props} />;
  return (
    <Dialog title="This dataset is used" onClose={onClose} close={{ children: 'Close' }}>
      <p className="wrap-anywhere">
        {dataset.name} is the {dataset.role} of <DatasetNames datasets={users} />. Remove the link there first, under
        “Controls and mask”. Then it can be deleted.
      </p>
    </Dialog>
  );
}

function DeleteForm({ dataset, onClose, onDeleted }: DeleteDatasetDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [typed, setTyped] = useState('');
  const { id, name, counts, size_bytes } = dataset;
  const files = counts.images + counts.videos + counts.captions;
  const isConfirmed = typed.trim().normalize('NFC') === name;

  const remove = async () => {
    await client.remove(id);
    removeDataset(queries, id);
    onDeleted();
  };

  return (
    <FormDialog
      title="Delete this dataset?"
      onClose={onClose}
      work={remove}
      kind="danger"
      label="Delete permanently"
      busyLabel="Deleting …"
      isDisabled={!isConfirmed}
    >
      <p>
        This deletes <strong className="break-all">{name}</strong>
        {files === 0 ? ', which is empty' : ` and its ${countOf(files, 'file')} (${sizeOf(size_bytes)})`}, with its
        history. This can't be undone.
      </p>
      <TextField
        label="Type the name to confirm"
        spellCheck={false}
        value={typed}
        onChange={setTyped}
        placeholder={name}
      />
    </FormDialog>
  );
}
