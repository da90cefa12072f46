import { createContext, type KeyboardEvent, useContext, useId, useState } from 'react';
import { keyNameOf } from '../../keys.js';
import { foldCase } from '../../ui/format.js';
import { tagsIn } from '../tags/caption-tags.js';

/** Offers the tags of the dataset that contain what is typed. ↓ and ↑ choose one, Enter and → take it; Tab stays the way on. */
export function useCompletion(text: string, take: (text: string, caret: number) => void) {
  const id = useId();
  const tags = useContext(KnownTagsContext);
  /** Behind what was typed last; `undefined` once a tag is taken, or the field is left. */
  const [caret, setCaret] = useState<number>();
  const [chosen, setChosen] = useState(-1);
  const offered = caret === undefined ? [] : completionsOf(text, caret, tags);
  const onType = (at: number | undefined) => {
    setCaret(at);
    setChosen(-1);
  };
  const accept = (tag: string) => {
    const next = withCompletion(text, caret ?? text.length, tag);
    onType(undefined);
    take(next.text, next.caret);
  };
  /** Returns whether the key was for the list. */
  const onKeyDown = (event: KeyboardEvent): boolean => {
    const tag = offered[chosen];
    const name = keyNameOf(event.nativeEvent, 'completion');
    const step = event.key === 'ArrowDown' ? 1 : -1;
    if (event.nativeEvent.isComposing || name === undefined || offered.length === 0) return false;
    if (name === 'completeMove' && (step === 1 || chosen >= 0)) {
      setChosen(Math.min(chosen + step, offered.length - 1));
    } else if (name === 'completeAccept' && tag !== undefined) accept(tag);
    else if (name === 'completeClose') onType(undefined);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  const list = offered.length > 0 && (
    <div
      id={id}
      role="listbox"
      aria-label="Tags of this dataset"
      className="flex shrink-0 gap-1 overflow-x-auto px-1 [scrollbar-width:none]"
    >
      {offered.map((tag, index) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus, and names the chosen one
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field
        <div
          key={tag}
          id={`${id}-${index}`}
          role="option"
          aria-selected={index === chosen}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => accept(tag)}
          className="max-w-full min-w-12 shrink-0 cursor-pointer truncate rounded-full border border-line px-2 text-xs leading-6 pointer-coarse:px-3 pointer-coarse:text-sm pointer-coarse:leading-9 hover:bg-raised aria-selected:border-accent aria-selected:bg-accent aria-selected:text-on-accent"
        >
          {tag}
        </div>
      ))}
    </div>
  );
  const attributes = offered.length > 0 && {
    'aria-autocomplete': 'list' as const,
    'aria-controls': id,
    ...(chosen >= 0 && { 'aria-activedescendant': `${id}-${chosen}` }),
  };
  return { list, attributes, onType, onKeyDown };
}

/** A tag of the dataset, with its text for comparison. */
export interface KnownTag {
  readonly term: string;
  readonly folded: string;
}

const LEAST_TYPED = 2;
const MAX_OFFERED = 4;

const SEPARATOR = /[,，、\n]/;

/** The tag before the caret and where it begins; `undefined` where the caret is within one, or behind too little of one. */
export function typedTagAt(text: string, caret: number): { from: number; typed: string } | undefined {
  const [rest = ''] = text.slice(caret).split(SEPARATOR, 1);
  const part = text.slice(0, caret).split(SEPARATOR).at(-1) ?? '';
  const typed = part.trimStart();
  if (rest.trim() !== '' || typed.length < LEAST_TYPED) return undefined;
  return { from: caret - typed.length, typed };
}

/** Tags that contain what is typed, in the order given, without those that the text has already. */
export function completionsOf(text: string, caret: number, tags: readonly KnownTag[]): readonly string[] {
  const at = typedTagAt(text, caret);
  if (at === undefined) return [];
  const needle = foldCase(at.typed);
  const own = new Set(tagsIn(text).map(foldCase));
  const offered: string[] = [];
  for (const { term, folded } of tags) {
    if (folded.includes(needle) && !own.has(folded)) offered.push(term);
    if (offered.length === MAX_OFFERED) break;
  }
  return offered;
}

/** The text with a tag in place of what is typed, and the caret behind it. */
export function withCompletion(text: string, caret: number, tag: string): { text: string; caret: number } {
  const from = typedTagAt(text, caret)?.from ?? caret;
  return { text: text.slice(0, from) + tag + text.slice(caret), caret: from + tag.length };
}

const NO_TAGS: readonly KnownTag[] = [];

const KnownTagsContext = createContext(NO_TAGS);

/** Provides the tags of a dataset, the most frequent first. */
export const KnownTagsProvider = KnownTagsContext.Provider;
