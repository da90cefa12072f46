import { useId, useMemo, useState } from 'react';
import { PlannedChangeDialog, usePlannedChange } from '../captions/bulk/change-preview.js';
import { type BulkChange, retagging } from '../captions/bulk/plan.js';
import { textOf } from '../captions/read-pairs.js';
import { isSentence, tagsIn } from '../captions/tags/caption-tags.js';
import type { Pair } from '../live/pairs.js';
import { Button } from '../ui/button.js';
import { TextField } from '../ui/fields.js';
import { countOf, numberOf } from '../ui/format.js';

/** More completions than this would be a list to search, not to choose from. */
const MAX_OFFERED = 200;

/** Shown as buttons. */
const MAX_BUTTONS = 24;

interface TagDialogProps {
  readonly datasetId: string;
  readonly verb: 'add' | 'remove';
  readonly pairs: readonly Pair[];
  /** All tags of the dataset, the frequent ones first. */
  readonly tags: readonly string[];
  readonly onClose: () => void;
}

/** Adds a tag to the captions of pairs, or removes one from them, after a preview of each. */
export function TagDialog({ datasetId, verb, pairs, tags, onClose }: TagDialogProps) {
  const [text, setText] = useState('');
  const list = useId();
  const own = useMemo(() => countedTagsOf(pairs), [pairs]);
  const isRemoval = verb === 'remove';
  const offered = isRemoval ? [...own.keys()] : tags.slice(0, MAX_OFFERED);
  const change = useMemo<BulkChange>(
    () => (isRemoval ? retagging(text) : { kind: 'add', tag: text }),
    [isRemoval, text],
  );
  const planned = usePlannedChange({ datasetId, pairs, change });
  const whose = pairs.length === 1 ? pairs[0]!.stem : countOf(pairs.length, 'pair');
  const isTyped = text.trim() !== '';
  const captions = countOf(planned.count, 'caption');
  return (
    <PlannedChangeDialog
      title={isRemoval ? `Remove a tag from ${whose}` : `Add a tag to ${whose}`}
      {...{ planned, onClose }}
      kind={isRemoval ? 'danger' : 'primary'}
      label={isTyped ? `${isRemoval ? 'Remove from' : 'Add to'} ${captions}` : isRemoval ? 'Remove' : 'Add'}
    >
      <TextField label="Tag" list={list} value={text} onChange={setText} />
      <datalist id={list}>
        {offered.map((tag) => (
          <option key={tag} value={tag} />
        ))}
      </datalist>
      {isRemoval && own.size === 0 && <p className="text-sm text-muted">Their captions have no tags.</p>}
      {isRemoval && (
        <ul aria-label="Tags of these pairs" className="flex flex-wrap gap-1.5">
          {[...own].slice(0, MAX_BUTTONS).map(([tag, count]) => (
            <li key={tag}>
              <Button aria-pressed={tag === text} onClick={() => setText(tag)} className="aria-pressed:border-accent">
                {tag} <span className="text-muted tabular-nums">{numberOf(count)}</span>
              </Button>
            </li>
          ))}
        </ul>
      )}
      {isTyped && (
        <p role="status" className="text-sm text-muted">
          {planned.changes.length === 0 &&
            (isRemoval ? 'None of their captions has this tag.' : 'Each of their captions has this tag.')}
        </p>
      )}
    </PlannedChangeDialog>
  );
}

/** The tags of pairs with the number of their captions, the frequent ones first. */
function countedTagsOf(pairs: readonly Pair[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { caption } of pairs) {
    const text = (caption && textOf(caption)) ?? '';
    for (const tag of isSentence(text) ? [] : tagsIn(text)) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a));
}
