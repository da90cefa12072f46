import { foldCase } from '../../ui/format.js';

/** What is between two tags: Western and East Asian commas, line ends, and the spaces around them. */
const GAP = /\s*[,，、\r\n][\s,，、]*/g;

/** A list of tags as it is written, so that a change leaves the others as they are. */
interface WrittenTags {
  readonly tags: readonly string[];
  /** Before each tag after the first. */
  readonly gaps: readonly string[];
  /** The line end that ends the file. */
  readonly end: string;
}

function parsed(text: string): WrittenTags {
  const body = text.replace(/^[\s,，、]+|[\s,，、]+$/g, '');
  const end = /\r\n|\r|\n/.exec(/[\s,，、]*$/.exec(text)?.[0] ?? '')?.[0] ?? '';
  return body === '' ? { tags: [], gaps: [], end } : { tags: body.split(GAP), gaps: body.match(GAP) ?? [], end };
}

/** Two tags are the same if their keys are: spaces and Unicode forms do not count, case does. */
export function tagKeyOf(tag: string): string {
  return tag.normalize('NFC').trim().replaceAll(/\s+/g, ' ');
}

/** The distinct tags of a caption, in its order. */
export function tagsIn(text: string): string[] {
  return [...new Set(parsed(text).tags.map(tagKeyOf))];
}

/** A tag alone is rarely longer than this; one of several may be. */
const MAX_WORDS_ALONE = 4;
const MAX_WORDS = 7;
const MAX_CHARACTERS_WITHOUT_SPACES = 24;
const SENTENCE_END = /\p{L}{2}[.!?…](?:\s|$)|[。！？]/u;

/** Whether a caption is written in sentences: commas in it do not separate tags. */
export function isSentence(text: string): boolean {
  const { tags } = parsed(text);
  const maxWords = tags.length === 1 ? MAX_WORDS_ALONE : MAX_WORDS;
  return tags.some((tag) => {
    const words = tag.trim().split(/\s+/);
    const isLong =
      words.length > maxWords || (/\p{Script=Han}|\p{Script=Hiragana}/u.test(tag) && words.some(isLongWord));
    return isLong || (SENTENCE_END.test(tag) && (words.length > 2 || /[。！？]/.test(tag)));
  });
}

const isLongWord = (word: string) => word.length > MAX_CHARACTERS_WITHOUT_SPACES;

/** Renames a whole tag, or removes it with its comma if `to` is empty. Doubles collapse onto the first. */
export function retagged(text: string, isTag: (tag: string) => boolean, to: string): string {
  const { tags, gaps, end } = parsed(text);
  if (!tags.some((tag) => isTag(tagKeyOf(tag)))) return text;
  const written = tags.map((tag) => (isTag(tagKeyOf(tag)) ? cleaned(to) : tag));
  const keys = written.map(tagKeyOf);
  let [result, since] = ['', [] as string[]];
  for (const [index, tag] of written.entries()) {
    if (index > 0) since.push(gaps[index - 1]!);
    if (tag === '' || keys.indexOf(keys[index]!) < index) continue;
    result += result === '' ? tag : joined(since) + tag;
    since = [];
  }
  return result === '' ? '' : result + end;
}

/** Appends a tag, unless the caption has it. */
export function withTag(text: string, tag: string): string {
  const added = cleaned(tag);
  const { tags, gaps, end } = parsed(text);
  if (added === '' || tags.some((each) => tagKeyOf(each) === tagKeyOf(added))) return text;
  const kept = tags.map((each, index) => (index === 0 ? '' : gaps[index - 1]) + each).join('');
  return kept === '' ? added : `${kept}, ${added}${end}`;
}

/** A tag as it is written: without commas around it. */
export function cleaned(tag: string): string {
  return tag.replace(/^[\s,，、]+|[\s,，、]+$/g, '');
}

/** One gap in place of those around removed tags. A line end stays. */
function joined(gaps: readonly string[]): string {
  const line = gaps.find((gap) => /[\r\n]/.test(gap));
  if (line !== undefined) return line;
  const [sign = ',', space = ' '] = /^\s*([,，、])[\s,，、]*?(\s*)$/.exec(gaps[0] ?? '')?.slice(1) ?? [];
  return sign + space;
}

/** A tag and the number of captions that have it. */
interface CountedTag {
  readonly term: string;
  readonly captions: readonly unknown[];
}

/** A rarer spelling, and the tag that it may stand for. */
interface NearSpelling<T extends CountedTag> {
  readonly from: T;
  readonly to: T;
}

/** Shorter tags that differ in a letter are other words: `cat`, `hat`. */
const MIN_LETTERS = 6;

/** A spelling this many times rarer than a similar one is probably a slip. */
const RARER = 3;

/**
 * Tags that differ only in case, spaces, `_`, `-` or a plural, and rare ones that differ in one letter from a frequent one. A tag
 * is offered once, for the most frequent that is like it.
 */
export function nearTagsAmong<T extends CountedTag>(tags: readonly T[]): NearSpelling<T>[] {
  const found: NearSpelling<T>[] = [];
  const bySkeleton = new Map<string, T>();
  const byVariant = new Map<string, T>();
  for (const from of tags.toSorted((a, b) => b.captions.length - a.captions.length)) {
    const skeleton = skeletonOf(from.term);
    const variants = variantsOf(skeleton);
    const alike = variants.flatMap((variant) => byVariant.get(variant) ?? []);
    const isSlip = (to: T) => to.captions.length >= RARER * from.captions.length && isSameNumber(from.term, to.term);
    const to = bySkeleton.get(skeleton) ?? alike.find(isSlip);
    if (to !== undefined && skeleton !== '') found.push({ from, to });
    else {
      bySkeleton.set(skeleton, from);
      for (const variant of variants) if (!byVariant.has(variant)) byVariant.set(variant, from);
    }
  }
  return found;
}

function skeletonOf(tag: string): string {
  return foldCase(tag)
    .replaceAll(/[\s_-]+/g, '')
    .replace(/(?<=\p{L}{3})s$/u, '');
}

/** A text, and all that lack one letter of it: two texts that differ in a letter have one in common. */
function variantsOf(text: string): string[] {
  if (text.length < MIN_LETTERS) return [];
  return [text, ...Array.from(text, (_, index) => text.slice(0, index) + text.slice(index + 1))];
}

/** `1girl` and `2girl` are not spellings of one tag. */
function isSameNumber(a: string, b: string): boolean {
  return a.replaceAll(/\D/g, '') === b.replaceAll(/\D/g, '');
}
