import type { DatasetFile } from '../../../src/client/client.js';
import type { Pair } from '../../live/pairs.js';
import { countOf, foldCase } from '../../ui/format.js';
import { cleaned, isSentence, retagged, tagKeyOf, withTag } from '../tags/caption-tags.js';

/** A change to many captions, as the user describes it. */
export type BulkChange =
  | { readonly kind: 'prepend' | 'append'; readonly trigger: string }
  | { readonly kind: 'add'; readonly tag: string }
  | ({
      readonly kind: 'replace';
      readonly find: string;
      readonly replacement: string;
      /** Whether it replaces tags as a whole; a tag that is replaced by nothing takes its comma. */
      readonly asTag: boolean;
    } & Matching)
  | { readonly kind: 'fill'; readonly text: string; readonly fillsBlank: boolean };

/** Gives a tag another text; by default, removes it. */
export function retagging(tag: string, to = ''): BulkChange {
  return { kind: 'replace', find: tag, replacement: to, asTag: true, matchesCase: true, wholeWords: true };
}

/** A change of one caption. */
export interface CaptionChange {
  readonly filename: string;
  /** `undefined` if there is no caption yet. */
  readonly before: string | undefined;
  readonly after: string;
  /** The ETag of the version that it was planned for; `null` if there must be none. */
  readonly ifMatch: string | null;
}

/** Returns the text of a caption; `undefined` if it is not known. Such a caption is not changed. */
type TextOf = (file: DatasetFile) => string | undefined;

/** Spaces and commas around the content of a caption. */
const LEADING = /^[\s,]+/;
const TRAILING = /[\s,]+$/;

const ENDS_SENTENCE = /[.!?…;:。！？]$/u;

/** Plans the changes of captions, in the order of the pairs. A caption that would stay the same has no change. */
export function planChanges(pairs: readonly Pair[], textOf: TextOf, change: BulkChange): CaptionChange[] {
  const rewrite = rewriting(change);
  return pairs.flatMap(({ stem, media, caption }) => {
    if (caption === undefined) {
      const text = change.kind === 'fill' ? change.text : change.kind === 'add' ? cleaned(change.tag) : '';
      if (media.length === 0 || text.trim() === '') return [];
      return { filename: `${stem}.txt`, before: undefined, after: text.toWellFormed(), ifMatch: null };
    }
    const before = textOf(caption);
    if (before === undefined || leavesOut(change, before)) return [];
    const after = rewrite(before).toWellFormed();
    return after === before ? [] : { filename: caption.filename, before, after, ifMatch: caption.etag };
  });
}

/** Whether a change of tags leaves out a caption because it is written in sentences. */
export function leavesOut(change: BulkChange, text: string): boolean {
  if (change.kind === 'add') return change.tag !== '' && isSentence(text);
  if (change.kind !== 'replace' || !change.asTag || change.find === '' || !isSentence(text)) return false;
  return text.search(patternOf(change.find, { ...change, wholeWords: true })) !== -1;
}

function rewriting(change: BulkChange): (text: string) => string {
  switch (change.kind) {
    case 'prepend':
    case 'append': {
      const trigger = change.trigger.replace(LEADING, '').replace(TRAILING, '');
      if (trigger === '') return (text) => text;
      const present = patternOf(trigger, { matchesCase: false, wholeWords: true });
      const add = change.kind === 'prepend' ? prepended : appended;
      return (text) => (text.search(present) === -1 ? add(text, trigger) : text);
    }
    case 'add':
      return (text) => withTag(text, change.tag);
    case 'replace': {
      const { find, replacement } = change;
      if (find === '') return (text) => text;
      if (change.asTag) {
        const comparable = (tag: string) => (change.matchesCase ? tagKeyOf(tag) : foldCase(tagKeyOf(tag)));
        const found = comparable(find);
        return (text) => retagged(text, (tag) => comparable(tag) === found, replacement);
      }
      const pattern = patternOf(find, change);
      if (replacement === '' && change.wholeWords) return (text) => withoutWords(text, pattern);
      // A tag that is removed takes its comma.
      const isWhole = (tag: string) => tag.replaceAll(pattern, '').trim() === '';
      if (replacement === '') return (text) => retagged(text, isWhole, '').replaceAll(pattern, '');
      // A replacement string would interpret `$&` and the like; a function does not.
      return (text) => text.replaceAll(pattern, () => replacement);
    }
    case 'fill': {
      const { text: filling, fillsBlank } = change;
      return (text) => (fillsBlank && filling.trim() !== '' && text.trim() === '' ? filling : text);
    }
  }
}

function prepended(text: string, trigger: string): string {
  const rest = text.replace(LEADING, '');
  return rest === '' ? trigger : `${trigger}, ${rest}`;
}

/** Appends after the last word, before the line end that closes the file. */
function appended(text: string, trigger: string): string {
  const written = text.trimEnd();
  const body = written.replace(TRAILING, '');
  if (body === '') return trigger;
  const end = text.slice(written.length);
  return body + (ENDS_SENTENCE.test(body) ? ' ' : ', ') + trigger + (end.includes('\n') ? end : '');
}

/** With the space before each, or the one that then begins the text. */
function withoutWords(text: string, words: RegExp): string {
  const removed = text.replaceAll(new RegExp(`[ \\t]*(?:${words.source})`, words.flags), '');
  return removed === text ? text : removed.replace(/^[ \t]+/, '');
}

interface Matching {
  readonly matchesCase: boolean;
  readonly wholeWords: boolean;
}

const SYNTAX = /[\\^$.*+?()[\]{}|/]/g;
const WORD = '[\\p{L}\\p{N}\\p{M}_]';
const STARTS_AS_WORD = new RegExp(`^${WORD}`, 'u');
const ENDS_AS_WORD = new RegExp(`${WORD}$`, 'u');

/** Code points that extend the character before them: accents, joiners, and skin tones. */
const NOT_EXTENDED = '(?![\\p{M}\\u200d\\u{1f3fb}-\\u{1f3ff}])';

/**
 * Makes a pattern that finds a plain text by visible characters: `é` matches in both Unicode forms, and `e` does not match
 * within `é`.
 */
function patternOf(find: string, { matchesCase, wholeWords }: Matching): RegExp {
  const characters = find.normalize('NFC').match(/\P{M}\p{M}*|\p{M}+/gsu) ?? [];
  const source = characters.map((character) => {
    const forms = [...new Set([character, character.normalize('NFD')])].map((form) => form.replaceAll(SYNTAX, '\\$&'));
    return forms.length === 1 ? forms[0] : `(?:${forms.join('|')})`;
  });
  const before = wholeWords && STARTS_AS_WORD.test(find) ? `(?<!${WORD})` : '(?<!\\u200d)';
  const after = wholeWords && ENDS_AS_WORD.test(find) ? `(?!${WORD})` : '';
  return new RegExp(before + source.join('') + NOT_EXTENDED + after, matchesCase ? 'gu' : 'giu');
}

/** Whether the required fields are filled in. */
export function isComplete(change: BulkChange): boolean {
  switch (change.kind) {
    case 'prepend':
    case 'append':
      return change.trigger.trim() !== '';
    case 'replace':
      return change.asTag ? cleaned(change.find) !== '' : change.find !== '';
    case 'add':
      return cleaned(change.tag) !== '';
    case 'fill':
      return change.text.trim() !== '';
  }
}

/** `Prepend “sks” to 12 captions`. */
export function changeTitle(change: BulkChange, count: number): string {
  const captions = countOf(count, 'caption');
  switch (change.kind) {
    case 'prepend':
      return `Prepend “${change.trigger.trim()}” to ${captions}`;
    case 'append':
      return `Append “${change.trigger.trim()}” to ${captions}`;
    case 'add':
      return `Add the tag “${cleaned(change.tag)}” to ${captions}`;
    case 'replace':
      if (change.asTag && cleaned(change.replacement) === '') return `Remove the tag “${change.find}” from ${captions}`;
      if (change.asTag) return `Rename the tag “${change.find}” to “${cleaned(change.replacement)}” in ${captions}`;
      return `Replace “${change.find}” with “${change.replacement}” in ${captions}`;
    case 'fill':
      return `Fill ${captions} with “${change.text.trim()}”`;
  }
}
