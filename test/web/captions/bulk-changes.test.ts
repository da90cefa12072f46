import { expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/client/client.js';
import { differenceOf } from '../../../src/dataset/history/word-difference.js';
import { type BulkChange, planChanges } from '../../../web/captions/bulk/plan.js';
import { captionStatisticsOf } from '../../../web/captions/caption-statistics.js';
import { termsAmong, termsOf } from '../../../web/captions/terms/terms.js';
import { completionsOf, typedTagAt, withCompletion } from '../../../web/captions/editing/use-completion.js';
import { isSentence, nearTagsAmong, retagged, withTag } from '../../../web/captions/tags/caption-tags.js';
import { foldCase } from '../../../web/ui/format.js';
import type { Pair } from '../../../web/live/pairs.js';

const COMPOSED = 'caf\u00e9';
const DECOMPOSED = 'cafe\u0301';

function fileOf(filename: string, kind: DatasetFile['kind'], text = ''): DatasetFile {
  const uploaded_at = '2030-01-01T00:00:00.000000';
  const common = { filename, kind, content_type: '', uploaded_at, size_bytes: text.length, sha256: text, etag: text };
  return kind === 'caption' ? { ...common, characters: [...text].length } : common;
}

/** A pair for each text; `undefined` is an image without a caption. */
function pairsWith(texts: readonly (string | undefined)[]): Pair[] {
  return texts.map((text, index) => {
    const media = [fileOf(`${index}.jpg`, 'image')];
    const caption = text === undefined ? undefined : fileOf(`${index}.txt`, 'caption', text);
    const files = caption ? [...media, caption] : media;
    return { stem: String(index), media, caption, files, isAwaited: false, problems: [] };
  });
}

const textOf = ({ sha256 }: DatasetFile) => sha256;

/** The text after a change; the same text if the change does not apply. */
function changed(text: string, change: BulkChange): string | undefined {
  const changes = planChanges(pairsWith([text]), textOf, change);
  return changes.length === 0 ? text : changes[0]?.after;
}

const replace = (
  find: string,
  replacement: string,
  options: { asTag?: boolean; matchesCase?: boolean; wholeWords?: boolean } = {},
) => ({ kind: 'replace', find, replacement, asTag: false, matchesCase: false, wholeWords: false, ...options }) as const;

const prepend = (trigger = 'sks') => ({ kind: 'prepend', trigger }) as const;
const append = (trigger = 'sks') => ({ kind: 'append', trigger }) as const;
const asTag = { asTag: true };
const wholeWords = { wholeWords: true };

test.each<readonly [rule: string, change: BulkChange, before: string, after: string]>([
  ['a comma stands behind a prepended word', prepend(), 'a dog', 'sks, a dog'],
  ['and once', prepend(), ', a dog,cat', 'sks, a dog,cat'],
  ['a blank caption becomes the word', prepend(), ' \n', 'sks'],
  ['line ends stay', prepend(' sks, '), 'a dog\r\n', 'sks, a dog\r\n'],
  ['an appended word follows the last word', append(), 'a dog, ', 'a dog, sks'],
  ['before the line end', append(), 'one\r\ntwo\r\n', 'one\r\ntwo, sks\r\n'],
  ['without a comma after a sentence', append(), 'A dog runs.', 'A dog runs. sks'],
  ['a caption that contains the word stays', prepend(), 'a photo of SKS dog', 'a photo of SKS dog'],
  ['as a whole word', prepend(), 'a sks_2 dog', 'sks, a sks_2 dog'],
  ['in any Unicode form', prepend(COMPOSED), `a ${DECOMPOSED}`, `a ${DECOMPOSED}`],
  ['with its signs', prepend('(sks:1.2)'), 'a (sks:1.2) dog', 'a (sks:1.2) dog'],
  ['the text to find is literal', replace('(dog) [x]', '.*'), 'a (dog) [x] c:\\ 1+1 $5', 'a .* c:\\ 1+1 $5'],
  ['so is the replacement', replace('dog', '$& $1 $$ $`'), 'a dog', 'a $& $1 $$ $`'],
  ['a dot is a dot', replace('a.b', 'no'), 'axb', 'axb'],
  ['nothing is found nowhere', replace('', 'no'), 'a dog', 'a dog'],
  ['a removed tag takes its comma', replace('town', ''), 'town, city, a sunset\n', 'city, a sunset\n'],
  ['in a sentence too', replace('town', ''), 'city, town, a town at night', 'city, a  at night'],
  ['any case is found', replace('äpfel', 'pears'), 'ÄPFEL', 'pears'],
  ['or this case alone', replace('red', 'blue', { matchesCase: true }), 'Red red', 'Red blue'],
  ['or whole words', replace('red', 'blue', wholeWords), 'red, redder, covered', 'blue, redder, covered'],
  ['with their accents', replace('t', 'x', wholeWords), 'été rouge', 'été rouge'],
  ['a sign is no word', replace(',', ', ', wholeWords), 'one,two', 'one, two'],
  ['accents are found in both forms', replace(COMPOSED, 'bar'), `a ${DECOMPOSED}, a ${COMPOSED}`, 'a bar, a bar'],
  ['and no letter without its accent', replace('cafe', 'bar'), `a ${DECOMPOSED}`, `a ${DECOMPOSED}`],
  ['a syllable is one letter', replace('한', 'x'), '한'.normalize('NFD'), 'x'],
  ['no visible character is split', replace('👩', 'x'), '👩‍🔬 and 👩', '👩‍🔬 and x'],
  ['nor a pair of surrogates', replace('\ud83d', 'x'), '🚂', '🚂'],
  ['a whole tag is removed', replace('Blue Sky', '', asTag), 'blue sky, city, sunset', 'city, sunset'],
  ['no part of one', replace('blue', '', asTag), 'blue sky', 'blue sky'],
  ['and none in a sentence', replace('A sky', 'x', asTag), 'A sky, seen from the city.', 'A sky, seen from the city.'],
  ['line ends stay in a replacement', replace('two', '2'), 'one\r\ntwo\r\n', 'one\r\n2\r\n'],
])('in a change of many captions, %s', (_rule, change, before, after) => {
  expect(changed(before, change)).toBe(after);
});

test('missing captions are filled, and blank ones on request', () => {
  const pairs = pairsWith(['a dog', undefined, ' \n', '']);
  const filled = (fillsBlank: boolean) =>
    planChanges(pairs, textOf, { kind: 'fill', text: 'sks', fillsBlank }).map(({ filename }) => filename);
  expect(filled(false)).toEqual(['1.txt']);
  expect(filled(true)).toEqual(['1.txt', '2.txt', '3.txt']);
});

test('a tag is added to missing captions too, and to no sentence', () => {
  const texts = ['city', undefined, 'A city lies at the sea.', 'dusk'];
  const changes = planChanges(pairsWith(texts), textOf, { kind: 'add', tag: 'dusk' });
  expect(changes.map(({ after }) => after)).toEqual(['city, dusk', 'dusk']);
});

test('a caption whose text is not known stays the same', () => {
  expect(planChanges(pairsWith(['a']), () => undefined, { kind: 'append', trigger: 'sks' })).toEqual([]);
});

test('the difference of two texts is by words, and contains both completely', () => {
  const shown = (before: string, after: string) =>
    differenceOf(before, after).map(({ kind, text }) => `${{ same: '=', removed: '-', added: '+' }[kind]}${text}`);
  expect(shown('a dog', 'sks, a dog')).toEqual(['+sks, ', '=a dog']);
  expect(shown('red a red', 'x a x')).toEqual(['-red', '+x', '= a ', '-red', '+x']);
  expect(shown('🚂', '🚃')).toEqual(['-🚂', '+🚃']);
  const before = 'one, two  three\r\nfour 🚂 café!';
  const after = 'zero, two three\nfive 🚂 cafe\u0301';
  const pieces = differenceOf(before, after);
  const without = (kind: string) => pieces.flatMap((piece) => (piece.kind === kind ? [] : piece.text)).join('');
  expect([without('added'), without('removed')]).toEqual([before, after]);
});

test('tags are separated by commas, words are case-insensitive, and both are listed once', () => {
  const tags = [...termsOf('tag', ' red wagon,snow,, Snow ,red  wagon\nnew line')];
  expect(tags).toEqual(['red wagon', 'snow', 'Snow', 'new line']);
  expect([...termsOf('tag', `${COMPOSED}, ${DECOMPOSED}，猫、犬`)]).toEqual([COMPOSED, '猫', '犬']);
  const words = [...termsOf('word', "A dog's well-lit DOG, 3 naïve")];
  expect(words).toEqual(['a', "dog's", 'well-lit', 'dog', '3', 'naïve']);
});

test('terms are counted by captions, rare ones first', () => {
  const terms = termsAmong('tag', ['a, b', 'a', 'constructor'], (text) => text);
  expect(terms.map(({ term, captions }) => [term, ...captions])).toEqual([
    ['b', 'a, b'],
    ['constructor', 'constructor'],
    ['a', 'a, b', 'a'],
  ]);
});

test('statistics count captions and their lengths', () => {
  const pairs = pairsWith(['a dog', 'a dog\n', undefined, ' ', 'a much longer text 🚂', 'cat']);
  const { captions, missing, blank, duplicates, shortest, longest, medianLength } = captionStatisticsOf(pairs, textOf);
  const stems = (some: readonly Pair[]) => some.map(({ stem }) => stem);
  expect({ captions, medianLength }).toEqual({ captions: 5, medianLength: 5 });
  expect([missing, blank, duplicates].map(stems)).toEqual([['2'], ['3'], ['0', '1']]);
  expect([shortest, longest].map((file) => file?.filename)).toEqual(['5.txt', '4.txt']);
  expect(captionStatisticsOf([], textOf).medianLength).toBeUndefined();
});

const remove = (text: string, tag: string) => retagged(text, (each) => each === tag, '');
const rename = (text: string, tag: string, to: string) => retagged(text, (each) => each === tag, to);

test.each([
  ['blue sky, city, sunset', 'blue sky', 'city, sunset'],
  ['city, blue sky, sunset', 'blue sky', 'city, sunset'],
  ['city, sunset, blue sky\n', 'blue sky', 'city, sunset\n'],
  ['city,blue sky,sunset', 'blue sky', 'city,sunset'],
  [', blue sky, , city,', 'blue sky', 'city'],
  ['猫、犬，鳥', '犬', '猫、鳥'],
  ['one, two\r\nthree, four\r\n', 'two', 'one\r\nthree, four\r\n'],
  ['one\nthree\nfour', 'three', 'one\nfour'],
  ['blue  sky , city', 'blue sky', 'city'],
  // Only a whole tag is one, with its case.
  ['blue sky at night, Blue sky', 'blue sky', 'blue sky at night, Blue sky'],
])('of %j, the removed tag %s takes its comma', (text, tag, left) => {
  expect(remove(text, tag)).toBe(left);
});

test.each([
  ['blue_sky, city', 'blue_sky', 'blue sky', 'blue sky, city'],
  ['city, blue sky, blue_sky, sunset', 'blue_sky', 'blue sky', 'city, blue sky, sunset'],
  ['blue_sky, city, blue sky', 'blue_sky', ' blue sky, ', 'blue sky, city'],
  ['one, $&', 'one', '$&', '$&'],
])('in %j, %s is renamed to %s, and collapses onto the first', (text, tag, to, renamed) => {
  expect(rename(text, tag, to)).toBe(renamed);
});

test.each([
  ['city, sunset\n', 'dusk', 'city, sunset, dusk\n'],
  ['city, ', 'dusk', 'city, dusk'],
  [' \n', 'dusk', 'dusk'],
  ['city, dusk', ' dusk,', 'city, dusk'],
  ['red wagon', 'red', 'red wagon, red'],
  ['city', ' , ', 'city'],
])('to %j, the tag %j is added last, unless it is there', (text, tag, added) => {
  expect(withTag(text, tag)).toBe(added);
});

test('sentences are told from lists of tags', () => {
  const sentences = ['A dog runs over the field, chasing a ball.', 'a photo of a red wagon in the snow'];
  sentences.push('sks. The wagon stands still.', '一只猫坐在红色的椅子上。');
  expect(sentences.filter((text) => !isSentence(text))).toEqual([]);
  const tags = ['red wagon', 'blue sky, city, sunset', '1girl, looking at viewer, st. louis', 'a wagon at dusk', ''];
  expect(tags.filter(isSentence)).toEqual([]);
});

test('near spellings are offered as merges, the rarer into the more frequent', () => {
  const counted = (counts: Record<string, number>) =>
    nearTagsAmong(Object.entries(counts).map(([term, count]) => ({ term, captions: Array(count).fill(0) }))).map(
      ({ from, to }) => [from.term, to.term],
    );
  expect(counted({ 'blue sky': 11, blue_sky: 2, 'Blue Sky': 1, wagons: 3, wagon: 9 })).toEqual([
    ['wagons', 'wagon'],
    ['blue_sky', 'blue sky'],
    ['Blue Sky', 'blue sky'],
  ]);
  expect(counted({ 'red wagon': 9, 'red wagen': 1, 'red wagn': 1 })).toEqual([
    ['red wagen', 'red wagon'],
    ['red wagn', 'red wagon'],
  ]);
  expect(counted({ '1girl': 9, '2girls': 1, cat: 9, hat: 1, 'long hair': 5, 'lone hair': 4 })).toEqual([]);
});

const TAGS = ['snow', 'Snowy roof', 'red wagon', 'night snow', 'snowfall', 'snowman'].map((term) => ({
  term,
  folded: foldCase(term),
}));

/** The text without the mark, and the caret in its place. */
function at(marked: string): [text: string, caret: number] {
  return [marked.replace('|', ''), marked.indexOf('|')];
}

test.each([
  ['a wagon, sn|', 'sn'],
  ['sn|, a wagon', 'sn'],
  ['one\nsn|', 'sn'],
  ['猫，sno|', 'sno'],
  // Too little, or within a tag.
  ['a wagon, s|', undefined],
  ['sn|ow', undefined],
  ['snow, |', undefined],
])('the tag that is typed at the caret of %j is %s', (marked, typed) => {
  expect(typedTagAt(...at(marked))?.typed).toBe(typed);
});

test('tags that contain it are offered in their order, without those of the text', () => {
  expect(completionsOf(...at('SNO|'), TAGS)).toEqual(['snow', 'Snowy roof', 'night snow', 'snowfall']);
  expect(completionsOf(...at('snow, sno|'), TAGS)).toEqual(['Snowy roof', 'night snow', 'snowfall', 'snowman']);
  expect(completionsOf(...at('snow|'), TAGS)).not.toContain('snow');
  expect(completionsOf(...at('xy|'), TAGS)).toEqual([]);
});

test('a tag takes the place of what is typed', () => {
  expect(withCompletion(...at('night,  sno|, dusk'), 'Snowy roof')).toEqual({
    text: 'night,  Snowy roof, dusk',
    caret: 'night,  Snowy roof'.length,
  });
});
