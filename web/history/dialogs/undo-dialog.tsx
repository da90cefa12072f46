import { recordChange, undoSingleRevision } from '../../undo/recent-change.js';
import { ActionDialog, type RevisionDialogProps } from './action-dialog.js';
import { countsInWords, howOf } from '../words.js';

/** Asks before the changes of a revision are reversed. */
export function UndoDialog({ client, dataset, revision, onClose }: RevisionDialogProps) {
  const { number } = revision;
  return (
    <ActionDialog
      datasetId={dataset.id}
      title={`Undo revision ${number}?`}
      label="Undo"
      busyLabel="Undoing …"
      act={async () => recordChange(dataset.id, await undoSingleRevision(client, dataset.id, number))}
      onClose={onClose}
    >
      <p>
        This reverses what revision {number} did ({howOf(revision)}: {countsInWords(revision)}). Files that were changed
        since stay as they are. It makes a new revision.
      </p>
    </ActionDialog>
  );
}
