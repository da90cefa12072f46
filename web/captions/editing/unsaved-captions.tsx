import { useEffect, useState } from 'react';
import { FileLink } from '../../live/file-link.js';
import { useClient } from '../../session/client.js';
import { useSignedIn } from '../../session/session.js';
import { Button } from '../../ui/button.js';
import { CopyButton } from '../../ui/copy.js';
import { countOf } from '../../ui/format.js';
import { ConflictDialog } from './conflict-dialog.js';
import { drafts, failureOf, type CaptionEntry } from './drafts.js';

/** Saves drafts as the user who is signed in. */
export function DraftSaving() {
  const client = useClient();
  useEffect(() => drafts.use(client), [client]);
  return null;
}

/** A notice about captions that could not be saved and whose fields are not rendered, also while signed out. */
export function UnsavedCaptions() {
  const isSignedIn = useSignedIn() !== undefined;
  const unsaved = drafts.useFailed('offscreen');
  if (unsaved.length === 0) return null;
  return (
    <section
      aria-label="Unsaved captions"
      className="flex flex-col gap-2 rounded-xl border border-bad bg-panel px-4 py-3 text-sm shadow-lg"
    >
      <div className="flex flex-wrap items-center gap-3">
        <p role="status" className="mr-auto">
          {countOf(unsaved.length, 'unsaved caption')}, kept in this tab.
          {!isSignedIn && ' Sign in again to save them.'}
        </p>
        {isSignedIn && <Button onClick={() => drafts.saveAll(unsaved)}>Retry all</Button>}
      </div>
      {isSignedIn && (
        <ul className="max-h-32 divide-y divide-line overflow-y-auto">
          {unsaved.map((entry) => (
            <Row key={`${entry.datasetId}/${entry.filename}`} entry={entry} />
          ))}
        </ul>
      )}
    </section>
  );
}

interface NotSavedProps {
  readonly datasetId: string;
  /** Leads to the caption of a file. */
  readonly onShow: (filename: string) => void;
}

/** Counts the captions of a dataset that could not be saved, and leads to the first of them. */
export function NotSaved({ datasetId, onShow }: NotSavedProps) {
  const failed = drafts.useFailed('all').filter((entry) => entry.datasetId === datasetId);
  return (
    <span role="status" className="contents">
      {failed[0] !== undefined && (
        <button
          type="button"
          onClick={() => onShow(failed[0]!.filename)}
          className="touch min-h-6 shrink-0 cursor-pointer rounded-full bg-bad-soft px-2.5 text-xs font-semibold text-bad hover:underline"
        >
          {failed.length} not saved
        </button>
      )}
    </span>
  );
}

function Row({ entry }: { entry: CaptionEntry }) {
  const { datasetId, filename, draft } = entry;
  const [isOpen, setOpen] = useState(false);
  return (
    <li className="flex flex-wrap items-center gap-x-3 py-1">
      <FileLink {...{ datasetId, filename }} />
      <span className="mr-auto min-w-0 wrap-anywhere text-muted">
        {failureOf(draft) ?? 'Changed or deleted elsewhere.'}
      </span>
      {draft !== undefined && <CopyButton text={draft.text} what={`the unsaved text of ${filename}`} />}
      {draft?.state === 'conflict' && (
        <button type="button" onClick={() => setOpen(true)} className="cursor-pointer text-link">
          Compare
        </button>
      )}
      {isOpen && draft?.state === 'conflict' && (
        <ConflictDialog name={entry} draft={draft} onClose={() => setOpen(false)} />
      )}
      <button
        type="button"
        aria-label={`Discard the unsaved text of ${filename}`}
        onClick={() => drafts.revert(entry)}
        className="cursor-pointer py-1 text-bad underline"
      >
        Discard
      </button>
    </li>
  );
}
