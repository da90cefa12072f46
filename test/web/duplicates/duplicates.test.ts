import type { Page } from 'playwright-core';
import sharp, { type Sharp } from 'sharp';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetWith } from '../linked-datasets.js';
import { soon } from '../pairs/pairs-page.js';

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

  test('another picture, and another caption, are kept with keys', { tags: ['long'] }, async () => {
    const { id, page } = await openWith({
      ...{ 'small.jpg': await recompressed(1), 'small.txt': 'a wagon' },
      ...{ 'large.jpg': await original(1), 'large.txt': 'a photo of a wagon' },
    });
    await page.getByText('The captions differ: large.jpg keeps its own.').waitFor();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('t');
    await page.getByText('The captions differ: large.jpg gets that of small.').waitFor();
    await page.keyboard.press('Space');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Remove 1, keep 1' }).waitFor();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Space');
    await page.getByText('Keep at least one picture.').waitFor();
    await page.keyboard.press('2');
    await page.getByText('The captions differ: small.jpg keeps its own.').waitFor();
    await page.keyboard.press('Enter');
    await done(page).waitFor();
    await soon(() => site.api.filenames(id)).toEqual(['small.jpg', 'small.txt']);
    expect(await site.api.text(id, 'small.txt')).toBe('a wagon');
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
  });

  test('is reached from “Fit to train?” and the workbench, and Back leads back', async () => {
    const { id, page } = await openWith({
      ...{ 'a.jpg': await original(1), 'b.jpg': await recompressed(1) },
      ...{ 'c.jpg': await original(2), 'd.jpg': await recompressed(2) },
    });
    await page.goto(`${site.server.url}/datasets/${id}/fitness`);
    const panel = page.getByRole('region', { name: 'Duplicates' });
    await panel.getByRole('link', { name: 'Review c.jpg' }).click();
    await position(page, 'Group 2 of 2').waitFor();
    await page.keyboard.press('ArrowUp');
    await position(page, 'Group 1 of 2').waitFor();
    await page.reload();
    await card(page, 'a.jpg').waitFor();
    await page.goBack();
    await panel.getByRole('link', { name: 'Review 2 groups' }).waitFor();
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByRole('link', { name: 'Duplicates 2' }).click();
    await position(page, 'Group 1 of 2').waitFor();
    await soon(() => page.title()).toContain('Duplicates');
  });

  test('a shared page and a token that only reads show the groups without verbs', { tags: ['long'] }, async () => {
    const { id, page } = await openWith({ 'a.jpg': await original(1), 'b.jpg': await recompressed(1) });
    await box(page, 'a.jpg').waitFor();
    const { body: token } = await site.api.json<{ secret: string }>('POST', '/tokens', { read_only: true });
    const { body: share } = await site.api.json<{ url: string }>('POST', `/${id}/shares`, { name: 'for a friend' });
    const reading = await site.open(`/datasets/${id}/duplicates`, { token: token.secret });
    const shared = await site.openSignedOut(new URL(share.url).pathname + new URL(share.url).hash);
    await shared.page.getByRole('link', { name: 'Duplicates 1' }).click();
    for (const { page: each } of [reading, shared]) {
      await card(each, 'b.jpg').getByText('Looks alike').waitFor();
      await soon(() => each.getByRole('checkbox').count()).toBe(0);
      await soon(() => each.getByRole('button', { name: /different|Remove|Keep/ }).count()).toBe(0);
    }
  });
});

describeInBrowser('a thumbnail', (site) => {
  test('has a picture before it is loaded', async () => {
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
