import { foldCase } from '../../ui/format.js';
import { tagKeyOf } from './caption-tags.js';

/** Tags that may be meant, and the part of the text that one of them replaces. */
export interface Completion {
  readonly from: number;
  readonly to: number;
  readonly options: readonly string[];
}

const MIN_TYPED = 2;
const MAX_OPTIONS = 8;

/**
 * The tags of the dataset that contain what is typed before the caret, if the caret is at the end of a tag. Leaves out those that
 * the caption has.
 *
 * @param tags the frequent ones first
 */
export function completionAt(text: string, caret: number, tags: readonly string[]): Completion | undefined {
  const before = /[^,，、\r\n]*$/.exec(text.slice(0, caret))?.[0] ?? '';
  const typed = foldCase(before.trimStart());
  if (typed.trim().length < MIN_TYPED || !/^[^\S\r\n]*(?:[,，、\r\n]|$)/.test(text.slice(caret))) return undefined;
  const from = caret - before.trimStart().length;
  const others = `${text.slice(0, from)},${text.slice(caret)}`.split(/[,，、\r\n]/).map(tagKeyOf);
  const options: string[] = [];
  for (const tag of tags) {
    const folded = foldCase(tag);
    if (folded === typed || !folded.includes(typed) || others.includes(tag)) continue;
    if (options.push(tag) === MAX_OPTIONS) break;
  }
  return options.length === 0 ? undefined : { from, to: caret, options };
}
