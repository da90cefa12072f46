import { isRefusal } from './captioning/refusals.js';
import { tokensOf } from './caption-tokens.js';
import { listedNames, plainCount } from './problems.js';

export type CaptionFindingCode =
  | 'REFUSAL'
  | 'ONLY_TRIGGER'
  | 'SAME_CAPTION'
  | 'REPEATED_TAG'
  | 'REPEATED_WORDS'
  | 'LONG_CAPTION';

/** What a person may want to change in the texts of captions. It keeps no dataset from READY. */
export interface CaptionFinding {
  readonly code: CaptionFindingCode;
  /** The trigger, the tag or the words that the captions have, or the tokens that an encoder reads. */
  readonly what: string;
  readonly filenames: readonly string[];
  readonly message: string;
}

export interface CaptionText {
  readonly filename: string;
  readonly text: string;
}

/** CLIP: SD 1.5, SDXL; 77 with the signs of start and end. T5: FLUX, Wan. */
const ENCODER_TOKENS = { CLIP: 75, T5: 512 };

const REPEATED_SHARE = 0.8;

/** Of fewer captions, most have something in common by chance. */
const MIN_CAPTIONS = 5;

/** A longer part between commas is a sentence. */
const MAX_TAG_WORDS = 4;
const MIN_WORDS = 3;

/** What 80 % of all captions have, more than half of so many have. */
const SAMPLES = 50;

/** One long text for all pictures has hundreds. */
const MAX_CANDIDATES = 100;

interface Read extends CaptionText {
  /** The words between commas. */
  readonly parts: readonly (readonly string[])[];
  /** With a space before and after each. */
  readonly words: string;
}

/** Findings about the texts of captions; case and signs do not count, except for the same text, and blank captions do not. */
export function captionFindings(captions: readonly CaptionText[]): CaptionFinding[] {
  const read = captions.map(readingOf).filter(({ words }) => words !== '  ');
  const written = read.filter(({ text }) => !isRefusal(text));
  const trigger = triggerOf(written);
  const isBare = ({ words }: Read) => words === ` ${trigger} `;
  const bare = written.filter(isBare);
  const counts = countsOfAll(written.map(({ text }) => [text.trim()]));
  const same = written.filter((caption) => !isBare(caption) && counts.get(caption.text.trim())! > 1);
  const refusals = read.filter(({ text }) => isRefusal(text));
  return [
    findingOf('REFUSAL', '', refusals, 'the words with which a model declines to describe a picture'),
    findingOf('ONLY_TRIGGER', trigger, bare, `only “${trigger}”, so nothing in the picture is described`),
    findingOf('SAME_CAPTION', '', same, 'the same text as another'),
    ...repeatedParts(written, trigger),
    ...Object.entries(ENCODER_TOKENS).map(([encoder, most]) => {
      const long = read.filter(({ text }) => tokensOf(text) > most);
      const what = `more than the ${most} tokens that ${encoder} reads, by an estimate, and the rest is cut off`;
      return findingOf('LONG_CAPTION', String(most), long, what);
    }),
  ].filter(({ filenames }) => filenames.length > 0);
}

function findingOf(code: CaptionFindingCode, what: string, found: readonly Read[], rest: string): CaptionFinding {
  const filenames = found.map(({ filename }) => filename);
  const message = `${plainCount(filenames.length, 'caption has', 'captions have')} ${rest}: ${listedNames(filenames)}.`;
  return { code, what, filenames, message };
}

function readingOf({ filename, text }: CaptionText): Read {
  const parts = text.split(/[,，、\r\n]/).map(wordsOf);
  return { filename, text, parts: parts.filter(({ length }) => length > 0), words: ` ${parts.flat().join(' ')} ` };
}

function wordsOf(text: string): readonly string[] {
  const folded = text.normalize('NFC').toLowerCase();
  return folded.match(/[\p{L}\p{M}\p{N}_]+(?:['’-][\p{L}\p{N}_]+)*/gu) ?? [];
}

/** The longest part or word with which more than half of the captions begin; `''` if there is none. */
function triggerOf(captions: readonly Read[]): string {
  if (captions.length < MIN_CAPTIONS) return '';
  const openings = commonIn(captions, ({ parts: [first = []] }) => [first.join(' '), first[0] ?? '']);
  return openings.reduce((longest, opening) => (opening.length > longest.length ? opening : longest), '');
}

/** Tags other than the trigger, and words in a row within sentences, that more than 80 % of the captions have. */
function repeatedParts(captions: readonly Read[], trigger: string): CaptionFinding[] {
  if (captions.length < MIN_CAPTIONS) return [];
  const samples = captions.filter((_, i) => i % Math.ceil(captions.length / SAMPLES) === 0);
  const having = (part: string) => captions.filter(({ words }) => words.includes(` ${part} `));
  const isRepeated = (part: string) => having(part).length > REPEATED_SHARE * captions.length;
  const repeatedIn = (partsOf: (caption: Read) => readonly string[]) =>
    commonIn(samples, partsOf).slice(0, MAX_CANDIDATES).filter(isRepeated);
  const tags = repeatedIn(({ parts }) => parts.filter(isTag).map((part) => part.join(' ')));
  const rows = repeatedIn(({ parts }) => parts.flatMap(rowsIn));
  const finding = (code: CaptionFindingCode, part: string) => {
    const found = having(part);
    const share = Math.round((100 * found.length) / captions.length);
    return findingOf(code, part, found, `“${part}”, which is in ${share} % of all and tells no picture from another`);
  };
  return [
    ...tags.filter((tag) => tag !== trigger).map((tag) => finding('REPEATED_TAG', tag)),
    ...joined(rows, samples)
      .filter(isRepeated)
      .map((row) => finding('REPEATED_WORDS', row)),
  ];
}

function isTag({ length }: readonly string[]): boolean {
  return length <= MAX_TAG_WORDS;
}

function rowsIn(part: readonly string[]): string[] {
  if (isTag(part)) return [];
  return part.slice(MIN_WORDS - 1).map((_, i) => part.slice(i, i + MIN_WORDS).join(' '));
}

/** Rows that overlap in a caption, as one. */
function joined(rows: readonly string[], samples: readonly Read[]): string[] {
  const all = new Set<string>();
  for (const part of samples.flatMap(({ parts }) => parts)) {
    const isRow = rowsIn(part).map((row) => rows.includes(row));
    for (const [from, is] of isRow.entries()) {
      if (!is || isRow[from - 1]) continue;
      const end = isRow.indexOf(false, from);
      all.add(part.slice(from, (end === -1 ? isRow.length : end) + MIN_WORDS - 1).join(' '));
    }
  }
  return [...all].filter((row) => ![...all].some((other) => other !== row && other.includes(row)));
}

/** What more than half of the captions have. */
function commonIn(captions: readonly Read[], partsOf: (caption: Read) => readonly string[]): string[] {
  const counts = countsOfAll(captions.map(partsOf));
  return [...counts].flatMap(([part, count]) => (count > captions.length / 2 ? part : []));
}

/** In how many of the lists each text is. */
function countsOfAll(lists: readonly (readonly string[])[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const list of lists) for (const each of new Set(list)) counts.set(each, (counts.get(each) ?? 0) + 1);
  return counts;
}
