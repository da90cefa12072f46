import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { messageOf } from '../../ui/format.js';

interface PreparingProps {
  readonly error: Error | null;
  readonly onRetry: () => void;
  readonly onCancel: () => void;
}

/** What is shown as long as nothing can be asked yet. */
export function Preparing({ error, onRetry, onCancel }: PreparingProps) {
  if (error === null) {
    // Mostly over at once, and so no dialog that would only flash.
    return (
      <div
        role="status"
        className="fixed inset-x-0 bottom-0 z-30 flex items-center justify-center gap-3 border-t border-line bg-panel p-3 text-sm"
      >
        Looking at the files … <Button onClick={onCancel}>Cancel</Button>
      </div>
    );
  }
  return (
    <Dialog title="Nothing has been uploaded" onClose={onCancel}>
      <p role="alert">{messageOf(error)}</p>
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" onClick={onRetry}>
          Try again
        </Button>
      </div>
    </Dialog>
  );
}
