import type { DatasetFile } from '../../../src/client/client.js';
import type { Pair } from '../../live/pairs.js';
import { type Matching, patternOf } from './pattern.js';

/** What a person wants done to many captions. */
export type BulkChange =
  | { readonly kind: 'prepend' | 'append'; readonly trigger: string }
  | ({ readonly kind: 'replace'; readonly find: string; readonly replacement: string } & Matching)
  | { readonly kind: 'fill'; readonly text: string; readonly fillsBlank: boolean };

/** What becomes of one caption; `undefined` is no caption. */
export interface CaptionChange {
  readonly filename: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
  /** Whether the text before had a byte order mark, which an undo puts back. */
  readonly hadMark?: boolean;
}

/** The text of a caption; `undefined` where it is not known, which leaves it alone. */
export type TextOf = (file: DatasetFile) => string | undefined;

const MARK = '\ufeff';
const ENDS_SENTENCE = /[.!?…;:。！？]$/u;

/** Every change that is to be made, in the order of the pairs; captions that stay as they are have none. */
export function planChanges(pairs: readonly Pair[], textOf: TextOf, change: BulkChange): CaptionChange[] {
  const plan = changePlanner(textOf, change);
  return pairs.flatMap((pair) => plan(pair) ?? []);
}

/** As `planChanges`, pair by pair. */
export function changePlanner(textOf: TextOf, change: BulkChange): (pair: Pair) => CaptionChange | undefined {
  const rewrite = rewriting(change);
  return ({ stem, media, caption }) => {
    if (caption === undefined) {
      const isFilled = change.kind === 'fill' && media.length > 0 && change.text.trim() !== '';
      return isFilled ? { filename: `${stem}.txt`, before: undefined, after: change.text.toWellFormed() } : undefined;
    }
    const before = textOf(caption);
    const after = before === undefined ? undefined : rewrite(before).toWellFormed();
    if (before === undefined || after === before) return undefined;
    const hadMark = caption.warnings?.some(({ code }) => code === 'CAPTION_BOM') === true;
    return { filename: caption.filename, before, after, ...(hadMark && { hadMark }) };
  };
}

/** The changes that take these back. */
export function planUndo(changes: readonly CaptionChange[]): CaptionChange[] {
  return changes.map(({ filename, before, after, hadMark = false }) => ({
    filename,
    before: after,
    after: hadMark ? MARK + before : before,
  }));
}

/** Whether a caption is as it was to become; the service tells of texts without their byte order marks. */
export function isApplied({ after }: CaptionChange, there: string | null | undefined): boolean {
  return there === (after?.startsWith(MARK) ? after.slice(MARK.length) : after);
}

function rewriting(change: BulkChange): (text: string) => string {
  switch (change.kind) {
    case 'prepend':
    case 'append': {
      const trigger = withoutCommas(change.trigger);
      if (trigger === '') return (text) => text;
      const present = patternOf(trigger, { matchesCase: false, wholeWords: true });
      const add = change.kind === 'prepend' ? prepended : appended;
      return (text) => (text.search(present) === -1 ? add(text, trigger) : text);
    }
    case 'replace': {
      const { find, replacement } = change;
      if (find === '') return (text) => text;
      const pattern = patternOf(find, change);
      // As a function, since `$&` and the like in a string would mean something.
      return (text) => text.replaceAll(pattern, () => replacement);
    }
    case 'fill': {
      const { text: filling, fillsBlank } = change;
      return (text) => (fillsBlank && filling.trim() !== '' && text.trim() === '' ? filling : text);
    }
  }
}

function prepended(text: string, trigger: string): string {
  const rest = text.slice(firstOther(text));
  return rest === '' ? trigger : `${trigger}, ${rest}`;
}

/** Behind the last word, and before the line end that closes the file. */
function appended(text: string, trigger: string): string {
  const written = text.trimEnd();
  const body = written.slice(0, lastOther(written));
  if (body === '') return trigger;
  const end = text.slice(written.length);
  return body + (ENDS_SENTENCE.test(body) ? ' ' : ', ') + trigger + (end.includes('\n') ? end : '');
}

function withoutCommas(text: string): string {
  return text.slice(firstOther(text), lastOther(text));
}

const isSeparator = (character: string | undefined) => character !== undefined && /[\s,]/.test(character);

/** Where something begins that is no space or comma. */
function firstOther(text: string): number {
  let at = 0;
  while (isSeparator(text[at])) at++;
  return at;
}

/** Where nothing but spaces and commas follows. */
function lastOther(text: string): number {
  let at = text.length;
  while (isSeparator(text[at - 1])) at--;
  return at;
}
