import { useId, useState } from 'react';
import { MAX_PIN_NOTE_LENGTH } from '../../../src/api/limits.js';
import { ActionDialog, type RevisionDialogProps } from './action-dialog.js';

/** Asks for a note, and keeps a revision for good. */
export function PinDialog({ client, dataset, revision: { number }, onClose }: RevisionDialogProps) {
  const id = useId();
  const [note, setNote] = useState('');
  return (
    <ActionDialog
      datasetId={dataset.id}
      title={`Pin revision ${number}?`}
      label="Pin"
      busyLabel="Pinning …"
      act={async () => {
        await client.history.pin(dataset.id, number, note.trim() === '' ? {} : { note: note.trim() });
      }}
      onClose={onClose}
    >
      <p>A pinned revision is kept until it is unpinned or the dataset is deleted.</p>
      <div className="flex flex-col gap-1 text-sm">
        <label htmlFor={id} className="font-medium">
          Note
        </label>
        <input
          id={id}
          autoComplete="off"
          maxLength={MAX_PIN_NOTE_LENGTH}
          value={note}
          onChange={(event) => setNote(event.target.value)}
          placeholder="Why it is kept"
          className="min-h-9 touch rounded-lg border border-line bg-page px-3 py-1.5"
        />
      </div>
    </ActionDialog>
  );
}

/** Asks before the pin of a revision ends. */
export function UnpinDialog({ client, dataset, revision: { number, pinned }, onClose }: RevisionDialogProps) {
  return (
    <ActionDialog
      datasetId={dataset.id}
      title={`Unpin revision ${number}?`}
      label="Unpin"
      busyLabel="Unpinning …"
      act={async () => {
        await client.history.unpin(dataset.id, number);
      }}
      onClose={onClose}
    >
      <p>
        It is then kept as long as other revisions of its age.
        {pinned?.note ? ` ${pinned.by} pinned it with the note “${pinned.note}”.` : ''}
      </p>
    </ActionDialog>
  );
}
