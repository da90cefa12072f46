import { useSyncExternalStore } from 'react';
import { Link } from 'wouter';
import { useSession } from '../../session/session.js';
import { Button } from '../../ui/button.js';
import { countOf } from '../../ui/format.js';
import { drafts, failureOf, type CaptionEntry } from './drafts.js';

/** Captions that could not be saved and whose fields are not in sight, whether a person is signed in or not. */
export function UnsavedCaptions() {
  const { token } = useSession();
  const unsaved = useSyncExternalStore(
    (listener) => drafts.subscribeToOffscreen(listener),
    () => drafts.offscreen(),
  );
  if (unsaved.length === 0) return null;
  const isSignedIn = token !== undefined;
  return (
    <section
      aria-label="Captions that are not saved"
      className="sticky bottom-(--dock-height,0) z-10 flex flex-col gap-2 border-t border-bad bg-panel px-4 py-3 text-sm shadow-lg"
    >
      <div className="flex flex-wrap items-center gap-3">
        <p role="status" className="mr-auto">
          {countOf(unsaved.length, 'caption')} not saved, and kept in this tab.
          {!isSignedIn && ' Sign in again to save them.'}
        </p>
        {isSignedIn && <Button onClick={() => saveAll(unsaved)}>Try all again</Button>}
      </div>
      {isSignedIn && (
        <ul className="max-h-32 divide-y divide-line overflow-y-auto">
          {unsaved.map((slot) => (
            <Row key={`${slot.datasetId}/${slot.filename}`} slot={slot} />
          ))}
        </ul>
      )}
    </section>
  );
}

function saveAll(unsaved: readonly CaptionEntry[]): void {
  for (const slot of unsaved) drafts.save(slot);
}

function Row({ slot }: { slot: CaptionEntry }) {
  const { datasetId, filename, draft } = slot;
  return (
    <li className="flex flex-wrap items-center gap-x-3 py-1">
      <Link
        href={`/datasets/${datasetId}?file=${encodeURIComponent(filename)}`}
        className="text-accent underline wrap-anywhere"
      >
        {filename}
      </Link>
      <span className="mr-auto min-w-0 wrap-anywhere text-muted">
        {failureOf(draft) ?? 'Changed or removed elsewhere meanwhile.'}
      </span>
      <button
        type="button"
        aria-label={`Discard what was typed for ${filename}`}
        onClick={() => drafts.revert(slot)}
        className="cursor-pointer text-bad underline"
      >
        Discard
      </button>
    </li>
  );
}
