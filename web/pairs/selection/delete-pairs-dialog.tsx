import type { Pair } from '../../live/pairs.js';
import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { countOf, numberOf, sizeOf } from '../../ui/format.js';

const NAMED = 5;

interface DeletePairsDialogProps {
  readonly pairs: readonly Pair[];
  readonly onClose: () => void;
  readonly onConfirm: () => void;
}

/** Asks before pairs go, and says what goes with them. */
export function DeletePairsDialog({ pairs, onClose, onConfirm }: DeletePairsDialogProps) {
  const files = pairs.flatMap((pair) => pair.files);
  const bytes = files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  const names = files.map(({ filename }) => filename);
  return (
    <Dialog title={`Delete ${countOf(pairs.length, 'pair')}?`} onClose={onClose}>
      <p>
        {countOf(files.length, 'file')} ({sizeOf(bytes)}) {files.length === 1 ? 'goes' : 'go'}, and can not be brought
        back:
      </p>
      <ul className="text-sm text-muted">
        {names.slice(0, NAMED).map((name) => (
          <li key={name} className="truncate" title={name}>
            {name}
          </li>
        ))}
        {names.length > NAMED && <li>and {numberOf(names.length - NAMED)} more</li>}
      </ul>
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" onClick={onConfirm}>
          Delete {countOf(files.length, 'file')}
        </Button>
      </div>
    </Dialog>
  );
}
