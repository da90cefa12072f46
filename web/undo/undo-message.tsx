import { Redo2, Undo2, X } from 'lucide-react';
import { Link, useRoute } from 'wouter';
import { useClient } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { shortListOf } from '../ui/format.js';
import { forgetChange, undoRecentChange, useRecentChange } from './recent-change.js';

const MAX_NAMES = 5;

/** Says what the last bulk change, deletion, restore or undo did to the dataset that is shown, and offers to undo it. */
export function UndoMessage() {
  const [, parameters] = useRoute('/datasets/:id/:view?');
  return parameters === null ? null : <Message datasetId={parameters.id} />;
}

function Message({ datasetId }: { datasetId: string }) {
  const client = useClient();
  const entry = useRecentChange(datasetId);
  if (entry === undefined || entry.isUnfinished) return null;
  const { change, isUndoing, failure } = entry;
  const { text, kept, made, isUndo } = change;
  const canUndo = 'changeId' in made || made.numbers.length > 0;
  return (
    <section
      aria-label="Last change"
      className="flex flex-wrap items-center gap-x-2 gap-y-1 rounded-xl border border-line bg-panel px-4 py-3 text-sm shadow-lg"
    >
      <p role="status" className="min-w-0 grow basis-full wrap-anywhere">
        {text} {shortListOf(kept, MAX_NAMES)}
        {failure !== undefined && <span className="text-bad"> Could not undo it. {failure}</span>}
      </p>
      {canUndo && (
        <WriteButton disabled={isUndoing} onClick={() => void undoRecentChange(client, datasetId)}>
          {isUndo ? <Redo2 size={16} aria-hidden /> : <Undo2 size={16} aria-hidden />}
          {isUndoing ? 'Undoing …' : isUndo ? 'Redo' : 'Undo'}
        </WriteButton>
      )}
      <Link href={`/datasets/${datasetId}/history`} className="px-1 text-link">
        History
      </Link>
      <Button kind="quiet" aria-label="Dismiss the message" onClick={() => forgetChange(datasetId)}>
        <X size={16} aria-hidden />
      </Button>
    </section>
  );
}
