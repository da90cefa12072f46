import type { KeyboardEvent, ReactNode } from 'react';
import { keyNameOf, withKey } from '../../keys.js';
import { numberOf } from '../../ui/format.js';
import type { Term } from './terms.js';

/** What can be done with a tag. */
export interface TagVerbs {
  readonly onRename: (tag: string) => void;
  readonly onRemove: (tag: string) => void;
  /** Adds the tag to the selected pairs. */
  readonly onAdd: (tag: string) => void;
  /** Asks for each picture whether it has the tag. */
  readonly onDecide: (tag: string) => void;
  readonly onPin: (key: string, tag: string) => void;
  readonly pins: Readonly<Record<string, string>>;
  /** The number of selected pairs. */
  readonly selected: number;
}

interface TermRowProps {
  readonly term: Term;
  readonly isSelected: boolean;
  readonly onSelect: () => void;
  /** `undefined` for words, and where nothing may be changed. */
  readonly verbs: TagVerbs | undefined;
}

/** A tag or word with the number of its captions. A chosen tag shows what can be done with it. */
export function TermRow({ term: { term, captions }, isSelected, onSelect, verbs }: TermRowProps) {
  const pin = Object.entries(verbs?.pins ?? {}).find(([, tag]) => tag === term)?.[0];
  return (
    <div>
      <button
        type="button"
        data-term
        aria-pressed={isSelected}
        onClick={onSelect}
        onKeyDown={(event) => onKeyDown(event, term, verbs)}
        className="flex min-h-8 w-full cursor-pointer items-baseline gap-2 px-2 py-1 text-left text-sm -outline-offset-2! hover:bg-raised aria-pressed:bg-accent aria-pressed:text-on-accent pointer-coarse:min-h-11"
      >
        <span className="min-w-0 grow wrap-anywhere">{term}</span>
        {pin !== undefined && (
          <kbd title={`Pinned to the key ${pin}`} className="rounded border border-current px-1 font-sans text-xs">
            {pin}
          </kbd>
        )}
        <span className="tabular-nums">{numberOf(captions.length)}</span>
      </button>
      {isSelected && verbs !== undefined && <Verbs {...verbs} tag={term} pin={pin} />}
    </div>
  );
}

function onKeyDown(event: KeyboardEvent<HTMLButtonElement>, tag: string, verbs: TagVerbs | undefined): void {
  const name = keyNameOf(event.nativeEvent, 'tags');
  if (name === 'tagMove') moveFocus(event.currentTarget, event.key === 'ArrowDown' ? 1 : -1);
  else if (name === undefined || verbs === undefined) return;
  else if (name === 'tagRename') verbs.onRename(tag);
  else if (name === 'tagRemove') verbs.onRemove(tag);
  else if (name === 'tagAdd') verbs.onAdd(tag);
  else if (name === 'tagPin') verbs.onPin(event.key, tag);
  event.preventDefault();
}

function moveFocus(from: HTMLElement, step: number): void {
  const rows = [...(from.closest('ul')?.querySelectorAll<HTMLElement>('[data-term]') ?? [])];
  rows[rows.indexOf(from) + step]?.focus();
}

const PIN_KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];

function Verbs(props: TagVerbs & { readonly tag: string; readonly pin: string | undefined }) {
  const { tag, pin, pins, selected, onRename, onRemove, onAdd, onDecide, onPin } = props;
  const key = pin ?? PIN_KEYS.find((each) => pins[each] === undefined);
  return (
    <div className="flex flex-wrap gap-x-3 px-2 py-1">
      <Verb title={withKey('Rename or merge', 'tagRename')} onClick={() => onRename(tag)}>
        Rename
      </Verb>
      <Verb title={withKey('Remove from all captions', 'tagRemove')} onClick={() => onRemove(tag)}>
        Remove
      </Verb>
      {selected > 0 && (
        <Verb title={withKey('Add to the selected pairs', 'tagAdd')} onClick={() => onAdd(tag)}>
          Add to {numberOf(selected)} selected
        </Verb>
      )}
      <Verb title="Shows one picture after another: Y if it has the tag, N if not" onClick={() => onDecide(tag)}>
        Decide one by one
      </Verb>
      {key !== undefined && (
        <Verb title="The key adds or removes the tag" onClick={() => onPin(key, tag)}>
          {pin === undefined ? `Pin to key ${key}` : `Unpin from key ${pin}`}
        </Verb>
      )}
    </div>
  );
}

function Verb({ title, onClick, children }: { title: string; onClick: () => void; children: ReactNode }) {
  return (
    <button type="button" title={title} onClick={onClick} className="cursor-pointer text-link pointer-coarse:min-h-11">
      {children}
    </button>
  );
}
