import { describe, expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/client/client.js';
import { pairsOf } from '../../../web/live/pairs.js';
import { copiesAmong, markedTexts, type RegexHits, searchMatcher } from '../../../web/search/match.js';
import { parsedSearch } from '../../../web/search/query.js';

const TEXTS: Record<string, string> = {
  'a.txt': 'Blue sky, red wagon',
  'b.txt': 'blue_sky, snow',
  'c.txt': 'A blue sky, seen over the whole city of Paris.',
  'd.txt': '',
};

const image = (filename: string, more: Partial<DatasetFile> = {}): DatasetFile => ({
  filename,
  kind: filename.endsWith('.txt') ? 'caption' : filename.endsWith('.mp4') ? 'video' : 'image',
  size_bytes: 1,
  content_type: '',
  sha256: filename,
  etag: filename,
  uploaded_at: '',
  characters: TEXTS[filename]?.length ?? 0,
  ...more,
});

const pairs = pairsOf({
  files: [
    image('a.jpg', { width: 640, height: 640, sha256: 'same' }),
    image('b.jpg', { width: 1360, height: 768, sha256: 'same' }),
    image('c.mp4', { width: 1920, height: 1080, duration_seconds: 4 }),
    image('d.jpg', { width: 800, height: 600 }),
    image('e.jpg'),
    ...Object.keys(TEXTS).map((name) => image(name, name === 'b.txt' ? { origin: { by: 'model', model: 'vl' } } : {})),
  ],
  warnings: [{ code: 'BLANK_CAPTION', filename: 'd.txt', message: '' }],
  error: undefined,
});

const PROPOSED = new Set(['d']);

const masks = new Map([['a', [image('a.png')]]]);
const found: RegexHits = new Map([['sk[iy]', new Map([['b', ['sky']]])]]);

/** The stems that a search finds. */
function find(text: string): string {
  const { query, fault } = parsedSearch(text);
  if (fault !== undefined) return fault.message;
  const linked = [{ slot: 'mask', id: 'm', name: 'm', files: masks }] as const;
  const matches = searchMatcher(query, pairs, {
    linked,
    textOf: ({ filename }) => TEXTS[filename],
    found,
    proposed: PROPOSED,
  });
  return pairs
    .filter(matches)
    .map(({ stem }) => stem)
    .join('');
}

describe('a search', () => {
  test('finds all words in names and captions, in any case', () => {
    expect(find('')).toBe('abcde');
    expect(find('  BLUE  sky ')).toBe('abc');
    expect(find('"blue sky"')).toBe('ac');
    expect(find('a.j')).toBe('a');
    expect(find('name:a')).toBe('a');
    expect(find('"blue')).toBe('abc');
  });

  test('finds whole tags, and none in sentences', () => {
    expect(find('tag:"blue sky"')).toBe('a');
    expect(find('tag:BLUE_SKY')).toBe('b');
    expect(find('tag:blue')).toBe('');
    expect(find('-tag:snow blue')).toBe('ac');
  });

  test('combines: AND before OR, parentheses, a minus before anything', () => {
    expect(find('snow OR wagon')).toBe('ab');
    expect(find('blue snow OR wagon')).toBe('ab');
    expect(find('blue (snow OR wagon) -snow')).toBe('a');
    expect(find('blue AND -(snow OR wagon)')).toBe('c');
    expect(find('well-lit OR - ')).toBe('');
  });

  test('compares numbers', () => {
    expect(find('chars:>15')).toBe('ac');
    expect(find('chars:0')).toBe('de');
    expect(find('tokens:<=5 has:caption')).toBe('abd');
    expect(find('width:<768')).toBe('a');
    expect(find('ratio:16:9')).toBe('bc');
    expect(find('ratio:>1.2')).toBe('bcd');
    expect(find('ratio:1')).toBe('a');
    expect(find('seconds:>=4')).toBe('c');
  });

  test('knows what pairs are and have', () => {
    expect(find('is:clip')).toBe('c');
    expect(find('is:duplicate')).toBe('ab');
    expect(find('is:blank')).toBe('d');
    expect(find('-has:caption')).toBe('e');
    expect(find('has:mask')).toBe('a');
    expect(find('has:proposal')).toBe('d');
    expect([find('by:model'), find('by:me')]).toEqual(['b', 'acd']);
    expect(find('by:someone-else')).toBe('by: knows model, me.');
    expect(find('/sk[iy]/ snow')).toBe('b');
    expect([...copiesAmong(pairs)]).toEqual(['a', 'b']);
  });

  test('says what it can not read, and where', () => {
    const faultOf = (text: string) => {
      const { fault } = parsedSearch(text);
      return fault && [fault.message, text.slice(fault.from, fault.to)];
    };
    expect(faultOf('snow /[a/')).toEqual([expect.stringMatching(/^Not a regular expression/), '/[a/']);
    expect(faultOf('/snow')).toEqual(['This expression needs a / at its end.', '/snow']);
    expect(faultOf('a (b')).toEqual(['This ( is never closed.', '(']);
    expect(faultOf('a) b')).toEqual(['This ) has no ( before it.', ')']);
    expect(faultOf('a ()')).toEqual(['There is nothing in these parentheses.', '()']);
    expect(faultOf('OR a')).toEqual(['OR stands between two words.', 'OR']);
    expect(faultOf('chars:many a')).toEqual(['After chars: stands a number, such as >200.', 'chars:many']);
    expect(faultOf('is:cat')).toEqual(['is: knows image, clip, duplicate, blank, refusal.', 'is:cat']);
    expect(faultOf('a tags:b')?.[1]).toBe('tags:b');
    expect(faultOf('"tags:b" tag: -')).toBeUndefined();
    // Any text is read, or described.
    for (const sign of ['(', ')', '"', '/', '\\', '-', ':', 'OR', 'tag:', '/\\', '-(', '((('])
      for (const other of ['', ' ', 'a', '(', '"', '/', '-']) expect(() => parsedSearch(sign + other)).not.toThrow();
  });

  test('marks what it looks for, and nothing that it excludes', () => {
    const marksOf = (text: string) => markedTexts(parsedSearch(text).query, found)('b');
    expect(marksOf('Blue tag:snow -red (ice OR name:b)')).toEqual(['blue', 'snow', 'ice', 'b']);
    expect(marksOf('/sk[iy]/')).toEqual(['sky']);
  });
});
