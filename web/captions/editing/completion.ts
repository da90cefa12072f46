import { createContext, useContext } from 'react';
import { foldCase } from '../../ui/format.js';
import { tagsIn } from '../tags/caption-tags.js';

/** A tag of the dataset, with its text for comparison. */
export interface KnownTag {
  readonly term: string;
  readonly folded: string;
}

const LEAST_TYPED = 2;
const MAX_OFFERED = 4;

const SEPARATOR = /[,，、\n]/;

/** A tag that is typed: where it begins in the text, without the space before it. */
interface TypedTag {
  readonly from: number;
  readonly typed: string;
}

/** The tag before the caret; `undefined` where the caret is within one, or behind too little of one. */
export function typedTagAt(text: string, caret: number): TypedTag | undefined {
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

export function useKnownTags(): readonly KnownTag[] {
  return useContext(KnownTagsContext);
}
