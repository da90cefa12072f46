import { type FormEvent, type ReactNode, useState } from 'react';
import type { DatasetWithFiles, Revision, TrainyardClient } from '../../../src/client/client.js';
import { signOutIfUnauthorized } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { messageOf } from '../../ui/format.js';
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
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState('');
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setFailure('');
    try {
      await act();
      onClose();
    } catch (error) {
      setFailure(messageOf(error));
      setBusy(false);
      signOutIfUnauthorized(error);
    }
    // Also after a failure: the action may have been carried out although its answer was lost.
    refetch();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        {children}
        <p role="alert" className="text-sm wrap-anywhere text-bad empty:hidden">
          {failure}
        </p>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" disabled={isBusy || isDisabled}>
            {isBusy ? busyLabel : label}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
