import { tagsIn } from '../captions/tags/caption-tags.js';

/** The texts of a caption before and after a revision. */
interface CaptionTexts {
  readonly before: string;
  readonly after: string;
}

/** Longer ones are not quoted. */
const MAX_QUOTED = 60;

/**
 * What was done to all captions alike, such as `Prepended “evng”`, or `Removed the tag “city”`; `undefined` if they changed in
 * different ways.
 */
export function operationOf(changes: readonly CaptionTexts[]): string | undefined {
  for (const wordsOf of [prepended, appended, changedTag, replaced]) {
    const all = new Set(changes.map(wordsOf));
    const [words] = all;
    if (all.size === 1 && words !== undefined) return words;
  }
  return undefined;
}

function prepended({ before, after }: CaptionTexts): string | undefined {
  const added = after.slice(0, after.length - before.length);
  return before !== '' && added !== '' && after.endsWith(before) ? quoting('Prepended', added) : undefined;
}

function appended({ before, after }: CaptionTexts): string | undefined {
  const added = after.slice(before.length);
  return before !== '' && added !== '' && after.startsWith(before) ? quoting('Appended', added) : undefined;
}

/** For captions that are lists of tags. */
function changedTag({ before, after }: CaptionTexts): string | undefined {
  if (!before.includes(',')) return undefined;
  const [old, now] = [tagsIn(before), tagsIn(after)];
  const [removed = '', ...otherRemoved] = old.filter((tag) => !now.includes(tag));
  const [added = '', ...otherAdded] = now.filter((tag) => !old.includes(tag));
  if (otherRemoved.length + otherAdded.length > 0) return undefined;
  if (removed !== '' && added !== '') return quoting('Renamed the tag', removed, 'to', added);
  if (removed !== '') return quoting('Removed the tag', removed);
  return added === '' ? undefined : quoting('Added the tag', added);
}

/** One run of words in place of another one. */
function replaced({ before, after }: CaptionTexts): string | undefined {
  const [old, now] = [before.split(/\s+/), after.split(/\s+/)];
  const least = Math.min(old.length, now.length);
  let start = 0;
  while (start < least && old[start] === now[start]) start++;
  let end = 0;
  while (end < least - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  const [removed, added] = [old, now].map((words) => words.slice(start, words.length - end).join(' '));
  if (removed === undefined || added === undefined || (removed === '' && added === '')) return undefined;
  if (removed === '') return quoting('Added', added);
  return added === '' ? quoting('Removed', removed) : quoting('Replaced', removed, 'with', added);
}

function quoting(verb: string, text: string, preposition = '', other = ''): string | undefined {
  const quoted = [text, other].map((part) => part.replace(/^[\s,]+|[\s,]+$/g, ''));
  if (quoted.some((part) => part.length > MAX_QUOTED) || quoted[0] === '') return undefined;
  return `${verb} “${quoted[0]}”${preposition === '' ? '' : ` ${preposition} “${quoted[1]}”`}`;
}
