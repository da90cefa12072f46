import { Redo2, Undo2, X } from 'lucide-react';
import { useState } from 'react';
import { Link, useRoute } from 'wouter';
import { useKeys, withKey } from '../keys.js';
import { useCanWrite } from '../session/account.js';
import { useClient } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { shortListOf } from '../ui/format.js';
import { MessageCard } from '../ui/message-card.js';
import { forgetChange, type RecentChange, undoRecentChange, useRecentChange } from './recent-change.js';

const MAX_NAMES = 5;

/**
 * Says what the last bulk change, deletion, restore or undo did to the dataset that is shown, and offers to undo it. After the
 * message has left, the undo stays in the history and on its key.
 */
export function UndoMessage() {
  const [, parameters] = useRoute('/datasets/:id/:view?');
  return parameters === null ? null : <Message datasetId={parameters.id} />;
}

function Message({ datasetId }: { datasetId: string }) {
  const client = useClient();
  const canWrite = useCanWrite();
  const entry = useRecentChange(datasetId);
  const [gone, setGone] = useState<RecentChange>();
  const { change, isUndoing = false, failure } = entry ?? {};
  const staysOn = isUndoing || failure !== undefined;
  const undoIf = (isOfKind: boolean) => {
    if (!canWrite || entry?.isUnfinished || !isOfKind) return undefined;
    return () => {
      setGone(undefined);
      void undoRecentChange(client, datasetId);
    };
  };
  useKeys({ undo: undoIf(change?.isUndo === false), redo: undoIf(change?.isUndo === true) });
  if (change === undefined || entry?.isUnfinished || (gone === change && !staysOn)) return null;
  const { text, kept, made, isUndo, undone } = change;
  const canUndo = made === undefined || !('numbers' in made) || made.numbers.length > 0;
  return (
    <MessageCard label="Last change" leavesAs={staysOn ? undefined : change} onLeave={() => setGone(change)}>
      <p role="status" className="wrap-anywhere">
        {text} {shortListOf(kept, MAX_NAMES)}
        {failure !== undefined && <span className="text-bad"> Could not undo it. {failure}</span>}
      </p>
      {undone !== undefined && <p className="wrap-anywhere text-muted">{undone}</p>}
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
        {canUndo && (
          <WriteButton
            disabled={isUndoing}
            title={withKey(isUndo ? 'Redo' : 'Undo', isUndo ? 'redo' : 'undo')}
            onClick={() => void undoRecentChange(client, datasetId)}
          >
            {isUndo ? <Redo2 size={16} aria-hidden /> : <Undo2 size={16} aria-hidden />}
            {isUndoing ? 'Undoing …' : isUndo ? 'Redo' : 'Undo'}
          </WriteButton>
        )}
        <Link href={`/datasets/${datasetId}/history`} className="px-1 text-link">
          History
        </Link>
        <Button icon={X} kind="quiet" aria-label="Dismiss the message" onClick={() => forgetChange(datasetId)} />
      </div>
    </MessageCard>
  );
}
