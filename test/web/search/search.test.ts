import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/client/client.js';
import { pairsOf } from '../../../web/live/pairs.js';
import { markedTexts, parsedSearch, type RegexHits, searchMatcher } from '../../../web/search/query.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { cardOf, namesOf, soon } from '../pairs/pairs-page.js';

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
  test.each([
    ['', 'abcde'],
    ['  BLUE  sky ', 'abc'],
    ['"blue sky"', 'ac'],
    ['a.j', 'a'],
    ['name:a', 'a'],
    ['"blue', 'abc'],
    // Whole tags, and none in sentences.
    ['tag:"blue sky"', 'a'],
    ['tag:BLUE_SKY', 'b'],
    ['tag:blue', ''],
    // AND before OR, parentheses, a minus before anything.
    ['-tag:snow blue', 'ac'],
    ['blue snow OR wagon', 'ab'],
    ['blue (snow OR wagon) -snow', 'a'],
    ['blue AND -(snow OR wagon)', 'c'],
    ['well-lit OR - ', ''],
    ['chars:>15', 'ac'],
    ['chars:0', 'de'],
    ['tokens:<=5 has:caption', 'abd'],
    ['width:<768', 'a'],
    ['ratio:16:9', 'bc'],
    ['ratio:>1.2', 'bcd'],
    ['seconds:>=4', 'c'],
    ['is:clip', 'c'],
    ['is:duplicate', 'ab'],
    ['is:blank', 'd'],
    ['-has:caption', 'e'],
    ['has:mask', 'a'],
    ['has:proposal', 'd'],
    ['by:model', 'b'],
    ['by:me', 'acd'],
    ['/sk[iy]/ snow', 'b'],
  ])('%j finds %s', (text, stems) => {
    expect(find(text)).toBe(stems);
  });

  test('says what it can not read, and where', () => {
    const faultOf = (text: string) => {
      const { fault } = parsedSearch(text);
      return fault && [fault.message, text.slice(fault.from, fault.to)];
    };
    for (const [text, message, at] of [
      ['snow /[a/', expect.stringMatching(/^Not a regular expression/), '/[a/'],
      ['/snow', 'This expression needs a / at its end.', '/snow'],
      ['/snow/i', expect.stringMatching(/^After the \/ that ends an expression stands a space/), '/snow/i'],
      ['a (b', 'This ( is never closed.', '('],
      ['a) b', 'This ) has no ( before it.', ')'],
      ['a ()', 'There is nothing in these parentheses.', '()'],
      ['OR a', 'OR stands between two words.', 'OR'],
      ['chars:many a', 'After chars: stands a number, such as >200.', 'chars:many'],
      ['is:cat', 'is: knows image, clip, duplicate, blank, refusal.', 'is:cat'],
      ['by:someone-else', 'by: knows model, me.', 'by:someone-else'],
      ['a tags:b', expect.any(String), 'tags:b'],
    ] as const) {
      expect(faultOf(text), text).toEqual([message, at]);
    }
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

describeInBrowser('the search of the workbench', (site) => {
  const fieldOf = (page: Page) => page.getByRole('searchbox', { name: 'Search names and captions' });
  const datasetOf = async () =>
    datasetWith(
      site.api,
      await captionedImages({
        one: 'blue sky, snow',
        two: 'blue_sky, red wagon',
        three: 'a train',
        snowman: undefined,
      }),
    );

  test('finds words in names and captions, marks them, and is part of the address', async () => {
    const { page } = await site.open(`/datasets/${await datasetOf()}`);
    await cardOf(page, 'one.jpg').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('snow');
    await soon(() => namesOf(page)).toEqual(['one.jpg', 'snowman.jpg']);
    const marked = page.getByRole('list', { name: 'Pairs' }).locator('mark');
    await soon(() => marked.allTextContents()).toEqual(['snow', 'snow']);
    await soon(() => new URL(page.url()).search).toBe('?q=snow');
    await fieldOf(page).fill('tag:"blue sky" OR -has:caption');
    await soon(() => namesOf(page)).toEqual(['one.jpg', 'snowman.jpg']);
    await page.reload();
    await soon(() => namesOf(page)).toEqual(['one.jpg', 'snowman.jpg']);
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await page.getByRole('button', { name: 'What can be searched' }).click();
    await page.getByRole('button', { name: 'is:duplicate' }).click();
    await page.getByText('4 pairs', { exact: true }).waitFor();
  });

  test('takes regular expressions, says what is wrong with one, and ends one that takes too long', async () => {
    const id = await datasetOf();
    await site.api.upload(id, 'three.txt', `${'a'.repeat(60)}!`);
    const { page } = await site.open(`/datasets/${id}`);
    await fieldOf(page).fill('/^blue[ _]sky/ -snow');
    await soon(() => namesOf(page)).toEqual(['two.jpg']);
    await fieldOf(page).fill('snow /[/');
    const fault = page.getByRole('alert').filter({ hasText: 'Not a regular expression' });
    await fault.waitFor();
    await soon(() => fieldOf(page).getAttribute('aria-invalid')).toBe('true');
    await fieldOf(page).fill('/^(a+)+$/');
    await page.getByText('This expression takes too long.').waitFor();
    // The page has answered all the while.
    await fieldOf(page).fill('snow');
    await soon(() => namesOf(page)).toEqual(['one.jpg', 'snowman.jpg']);
  });
});
