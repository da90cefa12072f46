import { type FormEvent, type ReactNode, useState } from 'react';
import { Alert } from '../ui/loaded.js';
import { Button } from '../ui/button.js';
import { Dialog, DialogActions } from '../ui/dialog.js';
import { messageOf } from '../ui/format.js';
import { signOutIfUnauthorized } from './client.js';
import { WriteButton } from './write-button.js';

interface Requesting {
  /** Why the last request failed; empty if it did not. */
  readonly failure: string;
  readonly isBusy: boolean;
  /** Runs requests of one click. Never rejects: an error becomes `failure`, and a 401 leads to the sign-in page. */
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

/** Runs what the buttons of a form or a list do, and keeps why it failed. */
export function useRequesting(): Requesting {
  const [failure, setFailure] = useState('');
  const [isBusy, setBusy] = useState(false);
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    setFailure('');
    try {
      await work();
    } catch (error) {
      setFailure(messageOf(error));
      signOutIfUnauthorized(error);
    }
    setBusy(false);
  };
  return { failure, isBusy, run };
}

interface DialogFormProps {
  readonly requesting: Requesting;
  /** What the form submits. */
  readonly work: () => Promise<void>;
  readonly label: string;
  /** By default, the label. */
  readonly busyLabel?: string;
  readonly kind?: 'primary' | 'danger';
  readonly isDisabled?: boolean;
  /** Why it is disabled. */
  readonly whyNot?: string | undefined;
  /** Shown at the left of the buttons. */
  readonly aside?: ReactNode;
  readonly onCancel: () => void;
  readonly children: ReactNode;
}

/** The form of a dialog: its fields, why it failed, "Cancel", and the button that submits it. */
export function DialogForm(props: DialogFormProps) {
  const { requesting, work, label, busyLabel = label, kind = 'primary', isDisabled = false, whyNot, aside } = props;
  const { onCancel, children } = props;
  const { failure, isBusy, run } = requesting;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!isBusy && !isDisabled) void run(work);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {children}
      <DialogActions>
        <Alert className="basis-full">{failure}</Alert>
        {aside}
        <Button onClick={onCancel}>Cancel</Button>
        <WriteButton type="submit" kind={kind} disabled={isBusy || isDisabled} title={whyNot}>
          {isBusy ? busyLabel : label}
        </WriteButton>
      </DialogActions>
    </form>
  );
}

interface FormDialogProps extends Omit<DialogFormProps, 'requesting' | 'onCancel'> {
  readonly title: string;
  readonly onClose: () => void;
  /** A class that sets the maximum width. */
  readonly width?: string;
}

/** A dialog that is one form. */
export function FormDialog({ title, onClose, width = 'max-w-lg', ...form }: FormDialogProps) {
  const requesting = useRequesting();
  return (
    <Dialog {...{ title, onClose, width }}>
      <DialogForm {...form} requesting={requesting} onCancel={onClose} />
    </Dialog>
  );
}
