import { Check, Download, LoaderCircle, TriangleAlert } from 'lucide-react';
import { type KeyboardEvent, memo, type ReactNode, useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { useLinks } from '../../live/dataset.js';
import type { Pair } from '../../live/pairs.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useIsShared } from '../../session/client.js';
import { messageOf, sizeOf } from '../../ui/format.js';
import { ConflictDialog } from './conflict-dialog.js';
import { type Draft, drafts, failureOf } from './drafts.js';
import type { CaptionName } from './save-caption.js';
import { type Caption, useCaption } from './use-caption.js';

interface CaptionFieldProps {
  readonly datasetId: string;
  readonly pair: Pair;
}

/**
 * The caption of a pair, editable in place. Fills the height of its parent, or is four lines high where the parent has no
 * height. Messages make the text area smaller.
 */
export const CaptionField = memo(function CaptionField({ datasetId, pair }: CaptionFieldProps) {
  const caption = useCaption(datasetId, pair);
  const { draft, state, name } = caption;
  const failure = failureOf(draft);
  return (
    <div className="relative flex h-full min-h-28 flex-col gap-1">
      {draft === undefined && state.state === 'failed' ? (
        <Notice text={`Could not read the caption. ${messageOf(state.error)}`}>
          <TextButton onClick={caption.retry}>Try again</TextButton>
        </Notice>
      ) : draft === undefined && state.state === 'read' && state.text === null && pair.caption !== undefined ? (
        <TooLong datasetId={datasetId} file={pair.caption} />
      ) : (
        <Text caption={caption} pair={pair} />
      )}
      {failure !== undefined && (
        <Notice text={`Not saved. ${failure}`}>
          <TextButton onClick={() => drafts.save(name)}>Try again</TextButton>
        </Notice>
      )}
      {draft?.state === 'conflict' && <Conflict name={name} draft={draft} />}
      <SaveStatus caption={caption} />
    </div>
  );
});

function Text({ caption, pair }: { caption: Caption; pair: Pair }) {
  const { name, saved, state, draft, text } = caption;
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  const isMissing = saved === undefined && state.state === 'read';
  return (
    <textarea
      // A caption in Arabic or Hebrew runs from right to left.
      dir="auto"
      aria-label={`Caption of ${pair.media[0]?.filename ?? name.filename}`}
      aria-invalid={failureOf(draft) !== undefined || draft?.state === 'conflict' || undefined}
      rows={4}
      value={text}
      readOnly={!canWrite || (draft === undefined && state.state === 'loading')}
      title={canWrite || isShared ? undefined : ONLY_READS}
      placeholder={state.state === 'loading' ? 'Loading …' : isMissing ? 'No caption yet' : 'Blank caption'}
      onChange={(event) => drafts.edit(name, event.target.value, saved)}
      onBlur={() => drafts.save(name)}
      onKeyDown={(event) => onKeyDown(event, name, draft)}
      className={`min-h-10 w-full grow resize-none rounded-md border border-transparent px-2 py-1 text-sm -outline-offset-2 leading-5 placeholder:text-muted placeholder:italic hover:border-line focus:border-line focus:bg-page aria-invalid:border-bad ${isMissing ? 'border-dashed border-line' : ''}`}
    />
  );
}

function onKeyDown(event: KeyboardEvent, name: CaptionName, draft: Draft | undefined): void {
  const isEscape = event.key === 'Escape';
  // Shortcuts of the page must not react to typing. Only Tab, and Escape without a draft, reach them.
  if (event.key !== 'Tab' && !(isEscape && draft === undefined)) event.stopPropagation();
  // While an input method composes characters, Escape and Enter are its own.
  if (event.nativeEvent.isComposing) return;
  if (isEscape && draft !== undefined) {
    event.preventDefault();
    drafts.revert(name);
  }
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    drafts.save(name);
  }
}

function SaveStatus({ caption: { draft, isJustSaved } }: { caption: Caption }) {
  const status =
    draft?.state === 'saving' && draft.reason === undefined ? (
      <>
        <LoaderCircle size={12} className="animate-spin" aria-hidden /> Saving …
      </>
    ) : draft === undefined && isJustSaved ? (
      <>
        <Check size={12} className="text-good" aria-hidden /> Saved
      </>
    ) : undefined;
  return (
    <span
      role="status"
      className="pointer-events-none absolute right-1 bottom-1 flex items-center gap-1 rounded-full border border-line bg-panel px-2 text-xs text-muted empty:hidden"
    >
      {status}
    </span>
  );
}

function Conflict({ name, draft }: { name: CaptionName; draft: Draft & { state: 'conflict' } }) {
  const { theirs } = draft;
  const [isOpen, setOpen] = useState(false);
  return (
    <Notice
      text={
        theirs === undefined ? 'Deleted elsewhere while you edited it.' : 'Changed elsewhere while you edited it, to:'
      }
      more={theirs === undefined ? undefined : (theirs.text ?? 'a text too long to show')}
    >
      <TextButton onClick={() => setOpen(true)}>Compare</TextButton>
      <TextButton onClick={() => drafts.keepMine(name)}>Keep mine</TextButton>
      <TextButton onClick={() => drafts.takeTheirs(name)}>Take theirs</TextButton>
      {isOpen && <ConflictDialog name={name} draft={draft} onClose={() => setOpen(false)} />}
    </Notice>
  );
}

function TooLong({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  const links = useLinks(datasetId);
  return (
    <div className="flex grow flex-col items-start gap-1 px-2 py-1 text-sm text-muted">
      <p>This caption is too long to edit here ({sizeOf(file.size_bytes)}).</p>
      {links !== undefined && (
        <a href={links.file(file, { download: true })} className="flex items-center gap-1 text-link">
          <Download size={14} aria-hidden /> Download {file.filename}
        </a>
      )}
    </div>
  );
}

function Notice({ text, more, children }: { text: string; more?: string | undefined; children: ReactNode }) {
  return (
    <div className="flex max-h-20 shrink-0 flex-wrap items-center gap-x-3 overflow-y-auto rounded-md bg-bad-soft px-2 py-1 text-xs text-bad">
      <p role="alert" className="flex min-w-0 items-start gap-1 wrap-anywhere">
        <TriangleAlert size={12} className="mt-0.5 shrink-0" aria-hidden /> {text}
      </p>
      {more !== undefined && <q className="min-w-0 whitespace-pre-wrap wrap-anywhere text-text">{more}</q>}
      <span className="ml-auto flex gap-3">{children}</span>
    </div>
  );
}

function TextButton({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      onClick={onClick}
      onKeyDown={(event) => event.key !== 'Escape' && event.key !== 'Tab' && event.stopPropagation()}
      className="cursor-pointer py-1 font-semibold underline"
    >
      {children}
    </button>
  );
}
