import { describe, expect, test } from 'vitest';
import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { isUnpaired, type LinkedDataset } from '../../../web/live/counterparts.js';
import { nameMatcher, type Pair, pairsOf, rejectedUploadsOf } from '../../../web/live/pairs.js';
import { mediaFactsOf } from '../../../web/pairs/media-facts.js';
import { cropOf, cutText } from '../../../web/pairs/viewer/crop-frame.js';
import { extended, EMPTY_SELECTION, rangeOf, toggled } from '../../../web/pairs/selection/selection.js';
import {
  matchesOf,
  NO_FILTER,
  viewCounts,
  viewsOf,
  workbenchFilterOf,
  workbenchParameters,
} from '../../../web/workbench/workbench-filter.js';
import { frozenAfter, inFrozenOrder, NOTHING_FROZEN, type PairOrder } from '../../../web/workbench/pair-order.js';

const NOTHING_KNOWN = { linked: [], term: undefined, duplicates: undefined };

function countsOf(pairs: readonly Pair[]) {
  return Object.fromEntries(viewCounts(pairs, viewsOf({ role: 'training' }), NOTHING_KNOWN));
}

function fileOf(filename: string, more: Partial<DatasetFile> = {}): DatasetFile {
  const kind = filename.toLowerCase().endsWith('.txt') ? 'caption' : filename.endsWith('.mp4') ? 'video' : 'image';
  return {
    filename,
    kind,
    size_bytes: 1,
    content_type: '',
    sha256: filename,
    etag: filename,
    uploaded_at: '',
    ...more,
  };
}

const pairsNamed = (...names: string[]) =>
  pairsOf({ files: names.map((name) => fileOf(name)), warnings: [], error: undefined });

const problemOf = (code: string, filename: string): Problem => ({ code, filename, message: `${filename}: ${code}` });

const nameOf = (part: string | DatasetFile | undefined) => (typeof part === 'object' ? part.filename : part);

describe('pairs of files', () => {
  test('share a stem, are sorted by it, and have the caption that the trainer reads', () => {
    const pairs = pairsNamed('b.jpg', 'b.txt', 'a.b.mp4', 'a.b.txt', 'a.txt');
    const named = pairs.map(({ stem, media, caption }) => [stem, ...media, caption].map(nameOf));
    expect(named).toEqual([
      ['a', 'a.txt'],
      ['a.b', 'a.b.mp4', 'a.b.txt'],
      ['b', 'b.jpg', 'b.txt'],
    ]);
    const [pair] = pairsNamed('a.TXT', 'a.jpg', 'a.png', 'a.txt');
    expect(pair?.caption?.filename).toBe('a.txt');
    expect([pair?.media.length, pair?.files.length]).toEqual([2, 4]);
  });

  test('have the problems of the dataset and of their files, each once', () => {
    const blank = problemOf('BLANK_CAPTION', 'a.txt');
    const error = {
      code: '',
      message: '',
      problems: [problemOf('NAME_COLLISION', 'b.jpg'), problemOf('NOT_AN_IMAGE', 'c.jpg')],
    };
    const files = [fileOf('a.jpg'), fileOf('a.txt', { warnings: [blank] }), fileOf('b.jpg')];
    const [a, b] = pairsOf({ files, warnings: [blank, problemOf('SIMILAR_STEM', 'a.jpg')], error });
    expect(a?.problems.map(({ code }) => code)).toEqual(['BLANK_CAPTION', 'SIMILAR_STEM']);
    expect(b?.problems.map(({ code }) => code)).toEqual(['NAME_COLLISION']);
    expect(rejectedUploadsOf({ error }).map(({ filename }) => filename)).toEqual(['c.jpg']);
  });

  test('include files that a recheck found damaged, with the problem, and not as rejected uploads', () => {
    const problem = problemOf('IMAGE_CORRUPT', 'a.jpg');
    const damaged = [fileOf('a.jpg', { problem })];
    const error = { code: '', message: '', problems: [problem, problemOf('NOT_AN_IMAGE', 'c.jpg')] };
    const [pair] = pairsOf({ files: [fileOf('a.txt')], damaged, warnings: [], error });
    expect(pair?.media.map(({ filename }) => filename)).toEqual(['a.jpg']);
    expect(pair?.problems).toEqual([problem]);
    expect(rejectedUploadsOf({ error, damaged }).map(({ filename }) => filename)).toEqual(['c.jpg']);
  });

  test('are not reported as incomplete while a file of their name is awaited or has expired', () => {
    const files = [fileOf('a.jpg'), fileOf('b.txt'), fileOf('c.jpg'), fileOf('d.txt')];
    const awaited = ['a.txt', 'b.jpg'].map((filename) => ({ filename, until: '' }));
    const expired = problemOf('UPLOAD_EXPIRED', 'd.jpg');
    const dataset = { files, warnings: [], awaited, error: { code: '', message: '', problems: [expired] } };
    expect(countsOf(pairsOf(dataset))).toMatchObject({ all: 4, missing: 1, orphan: 0 });
  });

  test('are unpaired if a control or mask of their stem is missing, unless they have no media', () => {
    const linked = (...stems: string[]): LinkedDataset => ({
      slot: 'control_1',
      id: '',
      name: '',
      files: new Map(stems.map((stem) => [stem, [fileOf(`${stem}.png`)]])),
    });
    const pairs = pairsOf({
      files: [fileOf('a.jpg'), fileOf('b.jpg'), fileOf('c.txt'), fileOf('d.gif')],
      warnings: [],
    });
    const unpairedIn = (...all: LinkedDataset[]) =>
      pairs.filter((pair) => isUnpaired(pair, all)).map(({ stem }) => stem);
    expect(unpairedIn(linked('a', 'b'))).toEqual([]);
    expect(unpairedIn(linked('a', 'b'), linked('b'))).toEqual(['a']);
    // Until the files of a linked dataset are known, nothing is said to be missing.
    expect(unpairedIn({ ...linked(), files: undefined })).toEqual([]);
  });

  test('have views that fit the role and the links of their dataset', () => {
    expect(viewsOf({ role: 'training' })).not.toContain('unpaired');
    expect(viewsOf({ role: 'training', links: {} })).toContain('unpaired');
    expect(viewsOf({ role: 'mask' })).toEqual(['all', 'unused', 'warnings', 'rejected']);
  });
});

describe('the filter', () => {
  test('is kept in the address', () => {
    const whole = 'filter=blank&tag=snow&q=x&sort=newest&file=a.jpg';
    for (const query of ['', 'filter=missing', 'q=a+b', 'word=red', whole]) {
      expect(workbenchParameters(workbenchFilterOf(new URLSearchParams(query))).toString()).toBe(query);
    }
    const unknown = workbenchFilterOf(new URLSearchParams('filter=toString&sort=constructor'));
    expect([unknown.view, unknown.order]).toEqual(['all', 'name']);
  });

  test('asks about a view, a tag and a name at once, and waits for captions that are not read', () => {
    const pairs = pairsNamed('a.jpg', 'b.jpg', 'b.txt', 'bc.jpg', 'bc.txt');
    const tag = { ...NO_FILTER, term: { kind: 'tag', term: 'snow' } as const };
    const stems = (found: readonly Pair[] | undefined) => found?.map(({ stem }) => stem);
    expect(stems(matchesOf(tag, pairs, { ...NOTHING_KNOWN, isFound: () => true }))).toBeUndefined();
    const known = { ...NOTHING_KNOWN, term: new Set(['b', 'bc']), isFound: () => true };
    expect(stems(matchesOf(tag, pairs, known))).toEqual(['b', 'bc']);
    expect(stems(matchesOf(tag, pairs, { ...known, isFound: ({ stem }) => stem.includes('c') }))).toEqual(['bc']);
    expect(stems(matchesOf(tag, pairs, { ...known, isFound: undefined }))).toBeUndefined();
    expect(stems(matchesOf({ ...tag, view: 'missing' }, pairs, known))).toEqual([]);
  });

  test('keeps its pairs and their places when they no longer match, until it is chosen again', () => {
    const sized = (sizes: Record<string, number>) =>
      pairsOf({ files: Object.entries(sizes).map(([name, size_bytes]) => fileOf(name, { size_bytes })), warnings: [] });
    const order: PairOrder = 'size';
    const stems = (pairs: readonly Pair[]) => pairs.map(({ stem }) => stem);
    const pairs = sized({ 'a.jpg': 1, 'b.jpg': 3, 'c.jpg': 2 });
    const chosen = frozenAfter(NOTHING_FROZEN, '1', { matching: pairs, order });
    expect(stems(inFrozenOrder(chosen, pairs))).toEqual(['b', 'c', 'a']);
    const later = sized({ 'a.jpg': 9, 'c.jpg': 2, 'd.jpg': 5 });
    expect(frozenAfter(chosen, '1', { matching: later.slice(0, 2), order })).toBe(chosen);
    const grown = frozenAfter(chosen, '1', { matching: later.slice(1), order });
    expect(stems(inFrozenOrder(grown, later))).toEqual(['d', 'c', 'a']);
    const again = frozenAfter(grown, '2', { matching: later.slice(1), order });
    expect(stems(inFrozenOrder(again, later))).toEqual(['d', 'c']);
  });

  test.each([
    ['', true],
    ['dog', true],
    ['DOG 01', true],
    ['dog cat', false],
    ['jpg', true],
    ['cafe\u0301', true],
  ])('matches all words of the search in one of the names: %s', (search, isFound) => {
    expect(nameMatcher(search)(['Dog_01_caf\u00e9.jpg', 'notes.txt'])).toBe(isFound);
  });
});

describe('a selection', () => {
  const pairs = pairsNamed('a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg');

  test('extends from its anchor, forwards and backwards, and keeps other pairs', () => {
    const forwards = extended(toggled(toggled(EMPTY_SELECTION, 'a'), 'd'), 'e', pairs);
    expect([...forwards.stems].sort()).toEqual(['a', 'd', 'e']);
    expect([...extended(forwards, 'c', pairs).stems].sort()).toEqual(['a', 'c', 'd', 'e']);
    // There is no anchor, or it is not shown.
    expect([...extended(EMPTY_SELECTION, 'b', pairs).stems]).toEqual(['b']);
    expect([...extended(toggled(EMPTY_SELECTION, 'a'), 'e', pairs.slice(1)).stems].sort()).toEqual(['a', 'e']);
  });

  test('of a range is that range alone, and shrinks with it', () => {
    const first = rangeOf(toggled(EMPTY_SELECTION, 'b'), { from: 'b', to: 'd' }, pairs);
    expect([...first.stems]).toEqual(['b', 'c', 'd']);
    expect([...rangeOf(first, { from: 'd', to: 'c' }, pairs).stems]).toEqual(['b', 'c']);
  });
});

test.each([
  [{ width: 1024, height: 768 }, '1024 × 768'],
  [{ width: 640, height: 480, duration_seconds: 2.54, frames_per_second: 23.976 }, '640 × 480 · 2.5 s · 23.98 fps'],
  [{ duration_seconds: 75 }, '1 min 15 s'],
  [{}, ''],
])('the facts %o are shown as %s', (known, text) => {
  expect(mediaFactsOf(fileOf('a.mp4', known))).toBe(text);
});

test('the trainer scales a picture to cover its bucket, and takes the middle', () => {
  const rules = { resolution: 1024, step: 32 };
  const picture = { width: 1100, height: 1000 };
  const crop = cropOf(picture, rules);
  expect(crop.bucket.width % 32 || crop.bucket.height % 32).toBe(0);
  const { width, height } = crop.taken;
  expect(width / height).toBeCloseTo(crop.bucket.width / crop.bucket.height);
  expect(Math.min(1100 - width, 1000 - height)).toBeCloseTo(0);
  expect(cutText(picture, crop)).toMatch(/^cuts \d+ px at the (left and at the right|top and at the bottom)$/);
  expect(cutText({ width: 1024, height: 1024 }, cropOf({ width: 1024, height: 1024 }, rules))).toBe('cuts nothing');
});
