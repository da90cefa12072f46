import { describe, expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/client/client.js';
import { differenceOf } from '../../../src/dataset/history/word-difference.js';
import { type BulkChange, planChanges } from '../../../web/captions/bulk/plan.js';
import { captionStatisticsOf } from '../../../web/captions/caption-statistics.js';
import { TermCounter, termsOf } from '../../../web/captions/terms/terms.js';
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

describe('a trigger word', () => {
  const prepend = (text: string, trigger = 'sks') => changed(text, { kind: 'prepend', trigger });
  const append = (text: string, trigger = 'sks') => changed(text, { kind: 'append', trigger });

  test('is prepended with a comma', () => {
    expect(prepend('a dog')).toBe('sks, a dog');
    expect(prepend(', a dog,cat')).toBe('sks, a dog,cat');
    expect(prepend('a dog', ' sks, ')).toBe('sks, a dog');
    expect(prepend(' \n')).toBe('sks');
    expect(prepend('a dog\r\n')).toBe('sks, a dog\r\n');
  });

  test('is appended after the last word, before the line end', () => {
    expect(append('a dog')).toBe('a dog, sks');
    expect(append('a dog, ')).toBe('a dog, sks');
    expect(append('a dog\n')).toBe('a dog, sks\n');
    expect(append('one\r\ntwo\r\n')).toBe('one\r\ntwo, sks\r\n');
    expect(append('A dog runs.')).toBe('A dog runs. sks');
    expect(append('')).toBe('sks');
  });

  test('is not added to a caption that contains it as a whole word', () => {
    expect(prepend('a photo of SKS dog')).toBe('a photo of SKS dog');
    expect(append('sks')).toBe('sks');
    expect(prepend('asks a dog')).toBe('sks, asks a dog');
    expect(prepend('a sks_2 dog')).toBe('sks, a sks_2 dog');
    expect(prepend(`a ${DECOMPOSED}`, COMPOSED)).toBe(`a ${DECOMPOSED}`);
    expect(prepend('a (sks:1.2) dog', '(sks:1.2)')).toBe('a (sks:1.2) dog');
  });
});

describe('find and replace', () => {
  test('takes both texts literally', () => {
    expect(changed('a (dog) [x] c:\\ 1+1 $5', replace('(dog) [x]', '.*'))).toBe('a .* c:\\ 1+1 $5');
    expect(changed('a dog', replace('dog', '$& $1 $$ $`'))).toBe('a $& $1 $$ $`');
    expect(changed('a.b', replace('a.b', '\\'))).toBe('\\');
    expect(changed('axb', replace('a.b', 'no'))).toBe('axb');
    expect(changed('a dog', replace('', 'no'))).toBe('a dog');
    expect(changed('town, city, a sunset\n', replace('town', ''))).toBe('city, a sunset\n');
    expect(changed('city, town, a town at night', replace('town', ''))).toBe('city, a  at night');
  });

  test('matches case and whole words on request', () => {
    expect(changed('Red red', replace('red', 'blue'))).toBe('blue blue');
    expect(changed('Red red', replace('red', 'blue', { matchesCase: true }))).toBe('Red blue');
    expect(changed('red, redder, covered', replace('red', 'blue', { wholeWords: true }))).toBe('blue, redder, covered');
    expect(changed('été rouge', replace('t', 'x', { wholeWords: true }))).toBe('été rouge');
    expect(changed('one,two', replace(',', ', ', { wholeWords: true }))).toBe('one, two');
    expect(changed('ÄPFEL', replace('äpfel', 'pears'))).toBe('pears');
  });

  test('finds accents in both Unicode forms, and no letter without its accent', () => {
    expect(changed(`a ${DECOMPOSED}, a ${COMPOSED}`, replace(COMPOSED, 'bar'))).toBe('a bar, a bar');
    expect(changed(`a ${COMPOSED}`, replace(DECOMPOSED, 'bar'))).toBe('a bar');
    expect(changed(`a ${DECOMPOSED}`, replace('cafe', 'bar'))).toBe(`a ${DECOMPOSED}`);
    expect(changed('한'.normalize('NFD'), replace('한', 'x'))).toBe('x');
  });

  test('splits no visible character', () => {
    expect(changed('👩‍🔬 and 👩', replace('👩', 'x'))).toBe('👩‍🔬 and x');
    expect(changed('🚂🚃', replace('🚃', ''))).toBe('🚂');
    expect(changed('🚂', replace('\ud83d', 'x'))).toBe('🚂');
  });

  test('as a tag, replaces whole tags, and by nothing removes them with their commas', () => {
    expect(changed('blue sky, city, sunset', replace('Blue Sky', '', { asTag: true }))).toBe('city, sunset');
    expect(changed('blue sky', replace('blue', '', { asTag: true }))).toBe('blue sky');
    expect(changed('A blue sky, seen from the city.', replace('A blue sky', 'x', { asTag: true }))).toBe(
      'A blue sky, seen from the city.',
    );
  });

  test('keeps line ends', () => {
    expect(changed('one\r\ntwo\r\n', replace('two', '2'))).toBe('one\r\n2\r\n');
  });
});

describe('filling', () => {
  const texts = ['a dog', undefined, ' \n', ''];

  test('fills missing captions, and blank ones on request', () => {
    const plan = (fillsBlank: boolean) =>
      planChanges(pairsWith(texts), textOf, { kind: 'fill', text: 'sks', fillsBlank }).map(
        ({ filename, before }) => [filename, before] as const,
      );
    expect(plan(false)).toEqual([['1.txt', undefined]]);
    expect(plan(true)).toEqual([
      ['1.txt', undefined],
      ['2.txt', ' \n'],
      ['3.txt', ''],
    ]);
  });
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

describe('terms', () => {
  test('tags are separated by commas, and listed once', () => {
    expect([...termsOf('tag', ' red wagon,snow,, Snow ,red  wagon\nnew line')]).toEqual([
      'red wagon',
      'snow',
      'Snow',
      'new line',
    ]);
    expect([...termsOf('tag', `${COMPOSED}, ${DECOMPOSED}，猫、犬`)]).toEqual([COMPOSED, '猫', '犬']);
    expect([...termsOf('tag', ' , ')]).toEqual([]);
  });

  test('words are case-insensitive', () => {
    expect([...termsOf('word', "A dog's well-lit DOG, 3 naïve")]).toEqual([
      'a',
      "dog's",
      'well-lit',
      'dog',
      '3',
      'naïve',
    ]);
  });

  test('are counted by captions, rare terms first', () => {
    const counter = new TermCounter();
    for (const [index, tags] of [['a', 'b'], ['a'], ['constructor']].entries()) counter.add(index, tags);
    expect(counter.groupsByCount().map((group) => group.map(({ term, captions }) => [term, ...captions]))).toEqual([
      [
        ['b', 0],
        ['constructor', 2],
      ],
      [['a', 0, 1]],
    ]);
  });
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
