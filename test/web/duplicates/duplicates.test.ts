import type { Page, Route } from 'playwright-core';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import type { DatasetFile, DuplicateGroup } from '../../../src/client/client.js';
import { mediaTypeOf } from '../../../src/dataset/media.js';
import {
  type Decision,
  exactCopiesIn,
  planRemoval,
  reviewGroupsOf,
  suggestedRemovals,
} from '../../../web/duplicates/review-groups.js';
import { type Pair, pairsOf } from '../../../web/live/pairs.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetWith } from '../linked-datasets.js';
import { namesOf, soon } from '../pairs/pairs-page.js';

/** A picture of coloured blobs. The same seed gives the same picture. */
function picture(seed: number): Sharp {
  let noise = seed * 2_654_435_761;
  const fields = Uint8Array.from({ length: 16 * 12 * 3 }, () => {
    noise = (Math.imul(noise, 1_103_515_245) + 12_345) >>> 0;
    return noise >>> 24;
  });
  return sharp(fields, { raw: { width: 16, height: 12, channels: 3 } }).resize(640, 480, { kernel: 'cubic' });
}

const original = (seed: number) => picture(seed).jpeg({ quality: 92 }).toBuffer();
const recompressed = (seed: number) => picture(seed).resize(320).jpeg({ quality: 60 }).toBuffer();

const position = (page: Page, words: string) => page.getByRole('heading', { name: words, exact: true });
const card = (page: Page, name: string) => page.getByRole('article', { name, exact: true });
const box = (page: Page, name: string) => page.getByRole('checkbox', { name: `Keep ${name}`, exact: true });
const done = (page: Page) => page.getByText('No duplicates are left to decide.');
const lastChange = (page: Page) => page.getByRole('region', { name: 'Last change' });

describeInBrowser('the review of duplicates', (site) => {
  type Files = Record<string, Buffer | string>;

  /** Opens the review once all pictures are compared. */
  async function openWith(files: Files) {
    const id = await datasetWith(site.api, files);
    await compared(id);
    return { id, ...(await site.open(`/datasets/${id}/duplicates`)) };
  }

  const pendingOf = async (id: string) =>
    (await site.api.request<{ pending: number }>('GET', `/${id}/duplicates`)).body.pending;
  const compared = (id: string) => soon(() => pendingOf(id)).toBe(0);

  test('resolves a recompressed copy with one key, moves its caption, and undo brings both back in one revision', async () => {
    const { id, page } = await openWith({
      ...{ 'small.jpg': await recompressed(1), 'small.txt': 'a wagon' },
      ...{ 'large.jpg': await original(1), 'other.jpg': await original(2), 'other.txt': 'a depot' },
    });
    await position(page, 'Group 1 of 1').waitFor();
    await soon(() => box(page, 'large.jpg').isChecked()).toBe(true);
    await soon(() => box(page, 'small.jpg').isChecked()).toBe(false);
    await card(page, 'large.jpg').getByText('Suggested: the most pixels').waitFor();
    await card(page, 'small.jpg').getByText('a wagon').waitFor();
    await page.getByText('small.txt moves to large.jpg.').waitFor();
    await page.keyboard.press('Enter');
    await done(page).waitFor();
    await lastChange(page).getByText('2 files deleted, 1 caption moved.').waitFor();
    expect(await site.api.filenames(id)).toEqual(['large.jpg', 'large.txt', 'other.jpg', 'other.txt']);
    expect(await site.api.text(id, 'large.txt')).toBe('a wagon');
    await page.keyboard.press('Control+z');
    await position(page, 'Group 1 of 1').waitFor();
    expect(await site.api.filenames(id)).toEqual(['large.jpg', 'other.jpg', 'other.txt', 'small.jpg', 'small.txt']);
  });

  test('what others change meanwhile stays, and a copy whose caption could not be moved', async () => {
    const copy = { 'small.jpg': await recompressed(1), 'small.txt': 'a wagon' };
    const { id, page } = await openWith({ ...copy, 'large.jpg': await original(1) });
    const changed: Record<string, string> = { PUT: 'large.txt', DELETE: 'small.txt' };
    await page.route(/\/(captions|files)$/, async (route) => {
      const name = changed[route.request().method()];
      if (name !== undefined) await site.api.upload(id, name, 'theirs');
      return route.continue();
    });
    await page.getByText('small.txt moves to large.jpg.').waitFor();
    for (const _ of ['down', 'held']) await page.keyboard.down('Enter');
    await page.keyboard.up('Enter');
    await page.getByText('meanwhile, and not deleted: large.').waitFor();
    await page.getByText('The captions differ: large.jpg keeps its own.').waitFor();
    expect(await site.api.filenames(id)).toContain('small.jpg');
    await page.keyboard.press('Enter');
    await page.getByText('meanwhile, and not deleted: small.txt.').waitFor();
    expect([await site.api.text(id, 'large.txt'), await site.api.text(id, 'small.txt')]).toEqual(['theirs', 'theirs']);
  });

  test('different pictures are remembered, also after a reload, until that is undone', async () => {
    const { id, page } = await openWith({ 'a.jpg': await original(1), 'b.jpg': await recompressed(1) });
    await position(page, 'Group 1 of 1').waitFor();
    await page.keyboard.press('k');
    await lastChange(page).getByText('2 files are remembered as different.').waitFor();
    await done(page).waitFor();
    await page.reload();
    await done(page).waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'b.jpg']);
    await page.keyboard.press('Control+z');
    await position(page, 'Group 1 of 1').waitFor();
    await site.api.upload(id, 'c.jpg', await picture(1).jpeg({ quality: 30 }).toBuffer());
    await compared(id);
    await page.reload();
    await box(page, 'b.jpg').check();
    const remembered = page.waitForResponse((response) => response.request().method() === 'POST');
    await page.keyboard.press('Enter');
    await remembered;
    await done(page).waitFor();
    await page.reload();
    await done(page).waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'b.jpg']);
    await page.keyboard.press('Control+z');
    await lastChange(page).getByText('Undone: 1 file restored.').waitFor();
    await compared(id);
    await page.reload();
    await soon(async () => (await namesOf(page)).toSorted()).toEqual(['a.jpg', 'b.jpg', 'c.jpg']);
  });

  test('a decision that waits for one that removes the picture it keeps removes nothing', async () => {
    const same = await original(1);
    const { id, page } = await openWith({ 'a.jpg': same, 'b.jpg': same });
    const held: Route[] = [];
    await page.route('**/files', (route) => void held.push(route), { times: 1 });
    await page.getByRole('button', { name: 'Keep one of each of 1 group of exact copies' }).click();
    await page.getByRole('button', { name: 'Delete 1 file' }).click();
    await soon(() => held.length).toBe(1);
    // The one that the first decision removes.
    await page.keyboard.press('2');
    await page.getByRole('button', { name: 'Remove 1, keep 1' }).click();
    await held[0]!.continue();
    await page.getByText('Changed meanwhile, and not deleted').waitFor();
    expect(await site.api.filenames(id)).toHaveLength(1);
  });

  test('a decision stays when captions make another picture the keeper, and when a better group comes', async () => {
    const same = await original(1);
    const { id, page } = await openWith({ 'a.jpg': same, 'a.txt': 'a wagon', 'b.jpg': same });
    await box(page, 'b.jpg').check();
    await site.api.upload(id, 'b.txt', 'a wagon');
    await site.api.raw('DELETE', `/${id}/files/a.txt`);
    await card(page, 'b.jpg').getByText('Suggested: it has a caption').waitFor();
    const larger = await picture(2).resize(1600).jpeg().toBuffer();
    for (const name of ['y.jpg', 'z.jpg']) await site.api.upload(id, name, larger);
    await page.getByRole('heading', { name: /^Group . of 2$/ }).waitFor();
    expect([await box(page, 'a.jpg').isChecked(), await box(page, 'b.jpg').isChecked()]).toEqual([true, true]);
  });

  test('one of each group of exact copies is kept at once, after a message that names what goes', async () => {
    const [first, second, third] = [await original(1), await original(2), await original(3)];
    const { id, page } = await openWith({
      ...{ 'a.jpg': first, 'b.jpg': first, 'b.txt': 'a wagon', 'c.jpg': second, 'd.jpg': second, 'e.jpg': second },
      ...{ 'x.jpg': third, 'x.txt': 'one', 'y.jpg': third, 'y.txt': 'another' },
    });
    await page.getByRole('button', { name: 'Keep one of each of 2 groups of exact copies' }).click();
    const dialog = page.getByRole('dialog', { name: /^Delete \d files\?$/ });
    await dialog.getByText('1 group with different captions is left for you to decide.').waitFor();
    await soon(() => dialog.getByRole('listitem').count()).toBe(2);
    await dialog.getByRole('button', { name: /^Delete \d files$/ }).click();
    await position(page, 'Group 1 of 1').waitFor();
    await soon(async () => (await site.api.filenames(id)).filter((name) => name.endsWith('.jpg'))).toHaveLength(4);
    expect(await site.api.filenames(id)).toEqual(expect.arrayContaining(['x.jpg', 'x.txt', 'y.jpg', 'y.txt']));
    await lastChange(page).getByRole('button', { name: 'Undo' }).click();
    await soon(async () => (await site.api.filenames(id)).length).toBe(10);
    await position(page, 'Group 1 of 3').waitFor();
    await page.goto(`${site.server.url}/datasets/${id}/duplicates?group=x.jpg`);
    await box(page, 'x.jpg').waitFor();
    const [upper = '', lower = ''] = (await namesOf(page)).map((name) => name ?? '');
    await page.keyboard.press('2');
    await page.getByLabel(`Keep this caption of ${upper}`).check();
    await page.keyboard.press('Enter');
    await soon(() => site.api.filenames(id)).not.toContain(upper);
    expect(await site.api.text(id, lower.replace('.jpg', '.txt'))).toBe(upper === 'x.jpg' ? 'one' : 'another');
  });
});

describeInBrowser('a thumbnail', (site) => {
  test('has a picture before it is loaded', { tags: ['long'] }, async () => {
    const id = await datasetWith(site.api, { 'a.jpg': await original(1), 'a.txt': 'a wagon' });
    await soon(async () => (await site.api.status(id)).body.files[0]?.thumbhash).toBeTruthy();
    const { page } = await site.open('/');
    // They are never answered.
    await page.route('**/thumbnail?**', () => {});
    await page.goto(`${site.server.url}/datasets/${id}`);
    const painted = page.getByRole('article', { name: 'a.jpg' }).locator('canvas');
    const coloursOf = () =>
      painted.evaluate((canvas: HTMLCanvasElement) => {
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        return new Set(data).size;
      });
    await soon(coloursOf).toBeGreaterThan(20);
  });
});

/** Files by name, each with what stands for its bytes. */
type Bytes = Record<string, string>;

function fileOf([filename, bytes]: [string, string]): DatasetFile {
  const kind = mediaTypeOf(filename)!.kind;
  return { filename, sha256: bytes, etag: `"${bytes}"`, size_bytes: bytes.length, kind } as DatasetFile;
}

function pairsByFile(files: Bytes): Map<string, Pair> {
  const pairs = pairsOf({ files: Object.entries(files).map(fileOf), warnings: [] } as never);
  return new Map(pairs.flatMap((pair) => pair.media.map(({ filename }) => [filename, pair] as const)));
}

type Members = Record<string, DuplicateGroup['members'][number]['kind']>;

function groupOf(files: Bytes, keeper: string, members: Members) {
  const wire = Object.entries(members).map(([filename, kind]) => {
    return { filename, kind, distance: 0, pixels: 0, size_bytes: (files[filename] ?? '').length };
  });
  return reviewGroupsOf([{ keeper, reason: 'pixels', members: wire }], pairsByFile(files));
}

/** What goes, which caption moves to which stem, and how many captions differ. */
function effectOf(files: Bytes, keeper: string, members: Members, decision?: Partial<Decision>) {
  const [group] = groupOf(files, keeper, members);
  const plan = planRemoval(group!, { removed: suggestedRemovals(group!), ...decision });
  return (
    plan && {
      files: plan.files.map(({ filename }) => filename),
      moves: plan.moves.map(({ from, filename }) => `${from.filename} to ${filename}`),
      captions: plan.captions.map(({ stem }) => stem),
    }
  );
}

describe('a decision about duplicates', () => {
  const two = { 'a.jpg': 'A', 'b.jpg': 'B' };
  const alike = { 'b.jpg': 'alike' } as const;

  test('removes exact and similar pictures with their captions, and no mirrored one', () => {
    const files = { ...two, 'c.jpg': 'A', 'd.jpg': 'D', 'b.txt': 'b', 'a.txt': 'b' };
    const effect = effectOf(files, 'a.jpg', { 'c.jpg': 'exact', 'b.jpg': 'alike', 'd.jpg': 'mirrored' });
    expect(effect).toEqual({ files: ['c.jpg', 'b.jpg', 'b.txt'], moves: [], captions: ['a'] });
  });

  test('moves the caption of a removed picture to a kept one without', () => {
    const moved = { files: ['b.jpg', 'b.txt'], moves: ['b.txt to a.txt'], captions: ['b'] };
    expect(effectOf({ ...two, 'b.txt': 'b' }, 'a.jpg', alike)).toEqual(moved);
  });

  test('moves a structured caption, too, and leaves exact copies with different ones to a person', () => {
    const files = { 'a.jpg': 'A', 'b.jpg': 'A', 'a.txt': 'a', 'b.json': '{"b":1}' };
    expect(effectOf(files, 'a.jpg', { 'b.jpg': 'exact' })).toMatchObject({ moves: ['b.json to a.json'] });
    const groups = groupOf({ ...files, 'a.json': '{"a":1}' }, 'a.jpg', { 'b.jpg': 'exact' });
    expect(exactCopiesIn(groups)).toEqual({ plans: [], undecided: 1 });
  });

  test('keeps the caption of the kept picture where they differ, or the one that is chosen', () => {
    const files = { ...two, 'a.txt': 'a', 'b.txt': 'b' };
    expect(effectOf(files, 'a.jpg', alike)).toMatchObject({ moves: [], captions: ['a', 'b'] });
    expect(effectOf(files, 'a.jpg', alike, { captionOf: 'b' })).toMatchObject({ moves: ['b.txt to a.txt'] });
  });

  test('leaves a caption that a kept picture shares', () => {
    const files = { 'a.png': 'A', 'a.jpg': 'B', 'a.txt': 'a' };
    expect(effectOf(files, 'a.png', { 'a.jpg': 'alike' })).toMatchObject({ files: ['a.jpg'], moves: [] });
  });

  test('keeps at least one picture', () => {
    expect(effectOf(two, 'a.jpg', alike, { removed: new Set(['a.jpg', 'b.jpg']) })).toBeUndefined();
  });
});

test('files that are gone or were replaced since they were compared are in no group', () => {
  const files = { 'a.jpg': 'A', 'b.jpg': 'B' };
  const member = { kind: 'alike', distance: 0, pixels: 0 } as const;
  const group = (keeper: string, filename: string, size_bytes: number): DuplicateGroup => {
    return { keeper, reason: 'age', members: [{ ...member, filename, size_bytes }] };
  };
  const groups = [group('a.jpg', 'b.jpg', 2), group('a.jpg', 'x.jpg', 1), group('x.jpg', 'b.jpg', 1)];
  expect(reviewGroupsOf(groups, pairsByFile(files))).toEqual([]);
});

test('one of each group of exact copies is kept, except where their captions differ', () => {
  const files = { 'a.jpg': 'A', 'b.jpg': 'A', 'c.jpg': 'C', 'd.jpg': 'C', 'b.txt': 'b' };
  // Copies of one another may be alike to the keeper.
  const groups = groupOf(files, 'a.jpg', { 'b.jpg': 'exact', 'c.jpg': 'alike', 'd.jpg': 'alike' });
  const { plans, undecided } = exactCopiesIn(groups);
  expect(plans.flatMap((plan) => plan.files.map(({ filename }) => filename))).toEqual(['b.jpg', 'b.txt', 'd.jpg']);
  expect(plans.map(({ moves }) => moves.map(({ filename }) => filename))).toEqual([['a.txt'], []]);
  expect(undecided).toBe(0);
  const differing = groupOf({ ...files, 'a.txt': 'a' }, 'a.jpg', { 'b.jpg': 'exact' });
  expect(exactCopiesIn(differing)).toEqual({ plans: [], undecided: 1 });
});
