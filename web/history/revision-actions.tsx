import { History, Pin, PinOff, Undo2 } from 'lucide-react';
import { useState } from 'react';
import type { DatasetWithFiles, Revision } from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { Button } from '../ui/button.js';
import { PinDialog, UnpinDialog } from './dialogs/pin-dialogs.js';
import { RestoreDialog } from './dialogs/restore-dialog.js';
import { UndoDialog } from './dialogs/undo-dialog.js';

interface RevisionActionsProps {
  readonly dataset: DatasetWithFiles;
  readonly revision: Revision;
  /** Shows one action only. */
  readonly only?: 'undo';
}

/** What a person can do with a revision. */
export function RevisionActions({ dataset, revision, only }: RevisionActionsProps) {
  const client = useClient();
  const [dialog, setDialog] = useState<'undo' | 'restore' | 'pin' | 'unpin'>();
  const { number, is_latest, pinned, how } = revision;
  const common = { client, dataset, revision, onClose: () => setDialog(undefined) };
  return (
    <div className="flex flex-wrap gap-2">
      {/* There is nothing before the first revision of an older data folder to go back to. */}
      {how !== 'import' && (
        <Button aria-label={only && `Undo revision ${number}`} onClick={() => setDialog('undo')}>
          <Undo2 size={16} aria-hidden /> Undo
        </Button>
      )}
      {only === undefined && (
        <>
          {!is_latest && (
            <Button onClick={() => setDialog('restore')}>
              <History size={16} aria-hidden /> Restore
            </Button>
          )}
          <Button onClick={() => setDialog(pinned === null ? 'pin' : 'unpin')}>
            {pinned === null ? <Pin size={16} aria-hidden /> : <PinOff size={16} aria-hidden />}
            {pinned === null ? 'Pin' : 'Unpin'}
          </Button>
        </>
      )}
      {dialog === 'undo' && <UndoDialog {...common} />}
      {dialog === 'restore' && <RestoreDialog {...common} />}
      {dialog === 'pin' && <PinDialog {...common} />}
      {dialog === 'unpin' && <UnpinDialog {...common} />}
    </div>
  );
}
