import type { ReactNode } from 'react';
import type { DatasetWithFiles, Revision, TrainyardClient } from '../../../src/client/client.js';
import { FormDialog } from '../../session/dialog-form.js';
import { useRefetchHistory } from '../use-history.js';

/** What a dialog about one revision needs. */
export interface RevisionDialogProps {
  readonly client: TrainyardClient;
  readonly dataset: DatasetWithFiles;
  readonly revision: Revision;
  readonly onClose: () => void;
}

interface ActionDialogProps {
  readonly datasetId: string;
  readonly title: string;
  /** What will happen. */
  readonly children: ReactNode;
  readonly label: string;
  readonly busyLabel: string;
  readonly isDisabled?: boolean;
  readonly act: () => Promise<void>;
  readonly onClose: () => void;
}

/** Asks before an action on the history, and shows why it failed. */
export function ActionDialog(props: ActionDialogProps) {
  const { datasetId, title, children, label, busyLabel, isDisabled = false, act, onClose } = props;
  const refetch = useRefetchHistory(datasetId);
  const work = async () => {
    // Also after a failure: the action may have been carried out although its answer was lost.
    await act().finally(refetch);
    onClose();
  };
  return (
    <FormDialog title={title} onClose={onClose} {...{ work, label, busyLabel, isDisabled }}>
      {children}
    </FormDialog>
  );
}
