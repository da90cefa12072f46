import { type FormEvent, useEffect, useMemo, useRef } from 'react';
import { Button } from '../../ui/button.js';
import { countOf, numberOf } from '../../ui/format.js';
import { ChangePreview, usePlannedChange } from '../bulk/change-preview.js';
import { retagging } from '../bulk/plan.js';
import { cleaned, tagKeyOf } from '../tags/caption-tags.js';
import type { Term } from './terms.js';
import { captionsWith, type TermCounts } from './use-terms.js';

/** What is done to a tag: it gets another text, or is removed. */
export interface TagEdit {
  readonly term: string;
  /** As it is typed. */
  readonly to: string;
  readonly isRemoval: boolean;
  /** Whether it was begun in the list of near spellings. */
  readonly isOffer: boolean;
}

interface TagEditorProps {
  readonly datasetId: string;
  readonly counts: TermCounts;
  readonly edit: TagEdit;
  readonly onEdit: (edit: TagEdit) => void;
  readonly onClose: () => void;
  /** Called when the change has begun, with the new tag; empty if it is removed. */
  readonly onDone: (from: string, to: string) => void;
}

/** Renames a tag in place, merges it into another one, or removes it from all captions. */
export function TagEditor({ datasetId, counts, edit, onEdit, onClose, onDone }: TagEditorProps) {
  const { term, isRemoval } = edit;
  const to = isRemoval ? '' : tagKeyOf(cleaned(edit.to));
  const pairs = useMemo(() => captionsWith(counts, term), [counts, term]);
  const change = useMemo(() => retagging(term, to), [term, to]);
  const planned = usePlannedChange({ datasetId, pairs, change });
  const input = useRef<HTMLInputElement>(null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (input.current === null) form.current?.querySelector('button')?.focus();
    else input.current.select();
    form.current?.scrollIntoView({ block: 'nearest' });
  }, []);
  const start = (event: FormEvent) => {
    event.preventDefault();
    if (to !== term && planned.start()) onDone(term, to);
  };
  const words = wordsOf({ to, target: counts.terms.find((each) => each.term === to && to !== term) }, planned.count);
  return (
    <form
      ref={form}
      aria-label={isRemoval ? `Remove the tag ${term}` : `Rename the tag ${term}`}
      onSubmit={start}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || event.nativeEvent.isComposing) return;
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
      className="flex flex-col gap-2 bg-page p-2 text-sm"
    >
      {isRemoval ? (
        <span className="font-medium wrap-anywhere">{term}</span>
      ) : (
        <input
          ref={input}
          aria-label={`New text of the tag ${term}`}
          autoComplete="off"
          value={edit.to}
          onChange={(event) => onEdit({ ...edit, to: event.target.value })}
          className="min-h-9 touch w-full rounded-md border border-accent bg-panel px-2 pointer-coarse:text-base"
        />
      )}
      <div className="flex flex-wrap gap-1">
        <Button
          type="submit"
          kind={to === '' ? 'danger' : 'primary'}
          disabled={to === term || !planned.canStart}
          title={planned.whyNot}
          className="wrap-anywhere"
        >
          {words}
        </Button>
        <Button kind="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
      <ChangePreview planned={planned} />
    </form>
  );
}

function wordsOf({ to, target }: { to: string; target: Term | undefined }, count: number): string {
  if (to === '') return `Remove from ${countOf(count, 'caption')}`;
  if (target !== undefined) return `Merge into ${target.term} (${numberOf(target.captions.length)})`;
  return `Rename in ${countOf(count, 'caption')}`;
}
