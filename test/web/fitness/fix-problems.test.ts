import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { dockOf } from '../upload/drop-files.js';

const panel = (page: Page, name: string | RegExp) => page.getByRole('region', { name });
const verdict = (page: Page, name: string) =>
  panel(page, 'Verdict').getByRole('heading', { name, exact: true }).waitFor();

describeInBrowser('fixing a FAILED dataset', (site) => {
  /** A dataset of these images without captions, and its view "Fit to train?". */
  async function imagesWithoutCaptions(...names: readonly string[]) {
    const id = await site.api.newDataset();
    for (const [seed, name] of names.entries()) await site.api.upload(id, name, await media.jpeg({ seed }));
    return { id, ...(await site.open(`/datasets/${id}/fitness`)) };
  }

  const textOf = async (id: string, name: string) => (await site.api.raw('GET', `/${id}/files/${name}`)).text();

  test('missing captions are written beside their images', async () => {
    const { id, page, browserErrors } = await imagesWithoutCaptions('a.jpg', 'b.jpg');
    await panel(page, '2 images need a caption').waitFor();
    await page.getByLabel('Caption of a.jpg').fill('a wagon');
    await page.getByLabel('Caption of b.jpg').fill('a depot');
    await panel(page, '1 image needs a caption').waitFor();
    expect(await textOf(id, 'a.txt')).toBe('a wagon');
    await page.getByLabel('Caption of b.jpg').blur();
    await verdict(page, 'Fit to train');
    expect(await panel(page, /need/).count()).toBe(0);
    expect(await textOf(id, 'b.txt')).toBe('a depot');
    expect(browserErrors).toEqual([]);
  });

  test('a caption that was written elsewhere meanwhile is not overwritten', async () => {
    const { id, page } = await imagesWithoutCaptions('a.jpg', 'b.jpg');
    await page.getByLabel('Caption of a.jpg').fill('mine');
    await site.api.upload(id, 'a.txt', 'theirs');
    await page.getByText('Changed elsewhere while you edited it').waitFor();
    await page.getByLabel('Caption of a.jpg').blur();
    expect(await textOf(id, 'a.txt')).toBe('theirs');
  });

  test('all are filled with one text, and that can be undone', async () => {
    const { id, page, browserErrors } = await imagesWithoutCaptions('a.jpg', 'b.jpg', 'c.jpg');
    await page.getByLabel('give all of them one text').fill('sks');
    await page.getByRole('button', { name: 'Fill all 3' }).click();
    await verdict(page, 'Fit to train');
    expect(await textOf(id, 'c.txt')).toBe('sks');
    await panel(page, 'Last change').getByRole('button', { name: 'Undo' }).click();
    await panel(page, '3 images need a caption').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'b.jpg', 'c.jpg']);
    expect(browserErrors).toEqual([]);
  });

  test('a rejected upload is replaced by a file that the user chooses, or dismissed', async () => {
    const id = await site.api.newDataset();
    await site.api.upload(id, 'a.txt', 'a wagon');
    for (const name of ['a.jpg', 'b.jpg', 'c.jpg']) await site.api.upload(id, name, media.damaged.html());
    const { page, browserErrors } = await site.open(`/datasets/${id}/fitness`);
    const choosing = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Replace a.jpg' }).click();
    const chooser = await choosing;
    await chooser.setFiles({ name: 'any.png', mimeType: 'image/png', buffer: await media.png() });
    await dockOf(page).getByText('1 file uploaded').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.png', 'a.txt']);
    await page.getByRole('button', { name: 'Dismiss b.jpg' }).click();
    await page.getByRole('button', { name: 'Dismiss b.jpg' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Dismiss c.jpg' }).click();
    await verdict(page, 'Fit to train');
    expect(browserErrors).toEqual([]);
  });

  test('one of two files that would overwrite each other is deleted, and that can be undone', async () => {
    const { id, page } = await imagesWithoutCaptions('a.jpg', 'a.JPG');
    await site.api.upload(id, 'a.txt', 'a wagon');
    await page.getByRole('button', { name: /^Delete a\.(jpg|JPG)$/ }).click();
    await verdict(page, 'Fit to train');
    await panel(page, 'Last change').getByRole('button', { name: 'Undo' }).click();
    await verdict(page, 'Not fit to train');
    expect(await site.api.filenames(id)).toHaveLength(3);
  });

  test('a token that only reads sees what is wrong, and no actions', async () => {
    const { id } = await imagesWithoutCaptions('a.jpg');
    await site.api.upload(id, 'b.jpg', media.damaged.html());
    const token = await site.readOnlyToken();
    const { page } = await site.open(`/datasets/${id}/fitness`, { token });
    await panel(page, 'Errors').getByText('a.jpg has no caption').waitFor();
    await panel(page, 'Errors').getByText('b.jpg').first().waitFor();
    await page.getByText('a token that only reads').waitFor();
    for (const name of ['Replace b.jpg', 'Dismiss b.jpg', 'Fill it']) {
      expect(await page.getByRole('button', { name }).count()).toBe(0);
    }
  });
});
