import { Check, Download, LoaderCircle, TriangleAlert } from 'lucide-react';
import { type KeyboardEvent, memo, type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { tokensOf } from '../../../src/dataset/caption-tokens.js';
import { keyNameOf } from '../../keys.js';
import { useLinks } from '../../live/dataset.js';
import type { Pair } from '../../live/pairs.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useIsShared } from '../../session/client.js';
import { countOf, messageOf, sizeOf } from '../../ui/format.js';
import { Marked } from '../../ui/marks.js';
import { type CaptionLoop, useCaptionLoop } from './caption-loop.js';
import { ConflictDialog } from './conflict-dialog.js';
import { type Draft, drafts, failureOf } from './drafts.js';
import type { CaptionName } from './drafts.js';
import { TagChips, placeOfTag, useChips } from './tag-chips.js';
import { type Caption, useCaption } from './use-caption.js';
import { useCompletion } from './use-completion.js';

interface CaptionFieldProps {
  readonly datasetId: string;
  readonly pair: Pair;
  /** By default, names the file. */
  readonly label?: string;
  /** Another field of the caption says what became of it. */
  readonly isSecond?: boolean;
  /** Texts that a search has found. */
  readonly marks?: readonly string[];
}

const NO_MARKS: readonly string[] = [];

/** The caption of a pair, editable in place. Fills the height of its parent; messages make the text area smaller. */
export const CaptionField = memo(function CaptionField(props: CaptionFieldProps) {
  const { datasetId, pair, label, isSecond = false, marks = NO_MARKS } = props;
  const caption = useCaption(datasetId, pair);
  const canWrite = useCanWrite();
  const { draft, state, name } = caption;
  const failure = failureOf(draft);
  return (
    <div className="group/caption relative flex h-full flex-col gap-1">
      {draft === undefined && state.state === 'failed' ? (
        <Notice text={`Could not read the caption. ${messageOf(state.error)}`}>
          <TextButton onClick={caption.retry}>Try again</TextButton>
        </Notice>
      ) : draft === undefined && state.state === 'read' && state.text === null && pair.caption !== undefined ? (
        <TooLong datasetId={datasetId} file={pair.caption} />
      ) : (
        <Text {...{ caption, pair, label, marks }} />
      )}
      {failure !== undefined && !isSecond && (
        <Notice text={`Not saved. ${failure}`}>
          <TextButton onClick={() => drafts.save(name)}>Try again</TextButton>
        </Notice>
      )}
      {draft?.state === 'conflict' && !isSecond && <Conflict name={name} draft={draft} />}
      {/* Beside a message it would move its buttons away from the pointer, as it leaves with the focus. */}
      {canWrite && failure === undefined && draft?.state !== 'conflict' && (
        <BelowText caption={caption} stem={pair.stem} />
      )}
      {!isSecond && <SaveStatus caption={caption} />}
    </div>
  );
});

interface TextProps {
  readonly caption: Caption;
  readonly pair: Pair;
  readonly label: string | undefined;
  readonly marks: readonly string[];
}

function Text({ caption, pair, label, marks }: TextProps) {
  const { name, saved, state, draft, text } = caption;
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  const loop = useCaptionLoop();
  const area = useRef<HTMLTextAreaElement>(null);
  const isMissing = saved === undefined && state.state === 'read';
  const isInvalid = failureOf(draft) !== undefined || draft?.state === 'conflict';
  const tags = useChips(name.filename, text);
  const hasChips = tags.length > 0 && !isInvalid;
  useLayoutEffect(() => loop?.register(pair.stem, () => select(area.current)), [loop, pair.stem]);
  const completion = useCompletion(text, (next, caret) => {
    drafts.edit(name, next, saved);
    // After React has put the text into the field.
    queueMicrotask(() => area.current?.setSelectionRange(caret, caret));
  });
  return (
    <>
      {marks.length > 0 && !hasChips && <TextMarks text={text} marks={marks} />}
      <textarea
        ref={area}
        // A caption in Arabic or Hebrew runs from right to left.
        dir="auto"
        aria-label={label ?? `Caption of ${pair.media[0]?.filename ?? name.filename}`}
        aria-invalid={isInvalid || undefined}
        {...completion.attributes}
        rows={2}
        value={text}
        {...(loop?.options.isRoving && { tabIndex: -1 })}
        readOnly={!canWrite || (draft === undefined && state.state === 'loading')}
        title={canWrite || isShared ? undefined : ONLY_READS}
        placeholder={state.state === 'loading' ? 'Loading …' : isMissing ? 'No caption yet' : 'Blank caption'}
        onChange={({ target }) => {
          completion.onType(target.selectionEnd);
          drafts.edit(name, target.value, saved);
        }}
        onBlur={() => {
          completion.onType(undefined);
          commit(name, draft);
        }}
        onKeyDown={(event) => completion.onKeyDown(event) || onKeyDown(event, caption, { loop, stem: pair.stem })}
        className={`relative min-h-10 w-full grow resize-none rounded-md border border-transparent px-2 py-1 text-sm -outline-offset-2! leading-5 placeholder:text-muted placeholder:italic hover:border-line focus:border-line focus:bg-page aria-invalid:border-bad ${marks.length > 0 ? 'not-focus:overflow-hidden' : ''} ${hasChips ? 'not-focus:opacity-0' : ''} pointer-coarse:text-base ${isMissing ? 'border-dashed border-line' : ''}`}
      />
      {completion.list}
      {hasChips && (
        <TagChips
          {...{ tags, marks, pair }}
          datasetId={name.datasetId}
          onWrite={(tag) => select(area.current, tag === undefined ? undefined : placeOfTag(text, tag))}
        />
      )}
    </>
  );
}

/** Marks what a search has found, behind the text of a field that does not have the focus: it has the same lines. */
function TextMarks({ text, marks }: { text: string; marks: readonly string[] }) {
  return (
    <div
      aria-hidden
      dir="auto"
      className="pointer-events-none absolute inset-x-0 top-0 max-h-full overflow-hidden border border-transparent px-2 py-1 text-sm leading-5 wrap-break-word whitespace-pre-wrap text-transparent group-has-[textarea:focus]/caption:hidden pointer-coarse:text-base"
    >
      <Marked text={text} marks={marks} />
    </div>
  );
}

/** Puts the caret into a field, by default at its end. */
function select(area: HTMLTextAreaElement | null, place?: readonly [start: number, end: number]): void {
  area?.focus();
  const end = area?.value.length ?? 0;
  area?.setSelectionRange(...(place ?? ([end, end] as const)));
}

/** Saves a draft. Spaces in place of a missing caption are no caption. */
function commit(name: CaptionName, draft: Draft | undefined): void {
  if (draft?.state === 'editing' && draft.base === undefined && draft.text.trim() === '') drafts.revert(name);
  else drafts.save(name);
}

const STEPS = { saveNext: 'next', savePrevious: 'previous', nextMissing: 'missing' } as const;

function onKeyDown(
  event: KeyboardEvent<HTMLTextAreaElement>,
  { name, draft }: Caption,
  { loop, stem }: { loop: CaptionLoop | undefined; stem: string },
): void {
  // While an input method composes characters, Escape and Enter are its own.
  if (event.nativeEvent.isComposing) return;
  const key = keyNameOf(event.nativeEvent, 'caption');
  switch (key) {
    case 'saveNext':
    case 'savePrevious':
    case 'nextMissing': {
      commit(name, draft);
      const hasMoved = loop?.go(stem, STEPS[key]) === true;
      // At the end, Tab leaves the field.
      if (hasMoved || event.key !== 'Tab') event.preventDefault();
      return;
    }
    case 'giveBack':
      event.preventDefault();
      event.stopPropagation();
      if (draft !== undefined) drafts.revert(name);
      else if (loop?.options.leave !== undefined) loop.options.leave(stem);
      else event.currentTarget.blur();
      return;
  }
}

/** An estimate: CLIP (SD 1.5, SDXL) reads 75 tokens, T5 (FLUX, Wan) 512. */
const MAX_TOKENS = 512;

/** While the field has the focus: how long the text is, and for fingers, which have no Ctrl key, the way on. */
function BelowText({ caption, stem }: { caption: Caption; stem: string }) {
  const loop = useCaptionLoop();
  const { text, name, draft } = caption;
  const tokens = tokensOf(text);
  return (
    <div className="hidden shrink-0 items-center justify-between gap-2 px-2 pb-0.5 group-has-[textarea:focus]/caption:flex">
      <p
        title="Tokens are an estimate. CLIP (SD 1.5, SDXL) reads 75 of them, T5 (FLUX, Wan) 512."
        className={`truncate text-xs tabular-nums ${tokens > MAX_TOKENS ? 'font-medium text-warn' : 'text-muted'}`}
      >
        {countOf(text.length, 'character')} · ~{countOf(tokens, 'token')}
      </p>
      {loop !== undefined && (
        <button
          type="button"
          tabIndex={-1}
          // The field keeps the focus, and a phone its keyboard.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => {
            commit(name, draft);
            loop.go(stem, 'next');
          }}
          className="touch hidden shrink-0 cursor-pointer px-2 text-sm font-semibold text-accent pointer-coarse:block"
        >
          Save, next
        </button>
      )}
    </div>
  );
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
    <div className="flex grow flex-col items-start px-2 text-sm text-muted">
      <p>Too long to edit here ({sizeOf(file.size_bytes)}).</p>
      {links !== undefined && (
        <a
          href={links.file(file, { download: true })}
          className="flex max-w-full items-center gap-1 truncate text-link"
        >
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
    <button type="button" onClick={onClick} className="cursor-pointer py-1 font-semibold underline">
      {children}
    </button>
  );
}
