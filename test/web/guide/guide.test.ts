import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { GUIDE_PAGES } from '../../../web/guide/guide-pages.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';

test('the guide lists each document of docs', async () => {
  const documents = (await readdir(new URL('../../../docs/', import.meta.url))).filter((name) => name.endsWith('.md'));
  expect(GUIDE_PAGES.map(({ name }) => `${name}.md`).sort()).toEqual(documents.sort());
});

describeInBrowser('the guide', (site) => {
  test('opens beside what it explains, follows its own links, and closes by Escape', async () => {
    const id = await site.api.newDataset();
    const { page } = await site.open(`/datasets/${id}/history`);
    await page.getByRole('link', { name: 'What is kept, and how undo works' }).click();
    const guide = page.getByRole('complementary', { name: 'Guide' });
    await guide.getByRole('heading', { name: 'History and undo' }).waitFor();
    const box = (await guide.boundingBox())!;
    const tabs = (await page.getByRole('navigation', { name: 'Views of the dataset' }).boundingBox())!;
    expect(tabs.x + tabs.width).toBeLessThanOrEqual(box.x);
    await guide.locator('article a[href*="/guide/"]').first().click();
    await guide.getByRole('heading', { name: 'History and undo' }).waitFor({ state: 'detached' });
    expect(page.url()).toContain(`/datasets/${id}/history`);
    await page.keyboard.press('Escape');
    await guide.waitFor({ state: 'detached' });
  });

  test('is a place of its own, for a person who is signed out too', async () => {
    const { page } = await site.openSignedOut('/guide');
    await page.getByRole('heading', { name: 'Start', exact: true }).waitFor();
    await page.getByRole('link', { name: 'Controls and masks' }).click();
    await page.getByRole('heading', { name: 'Edit datasets: controls and masks' }).waitFor();
    await page.goto(`${site.server.url}/guide/page`);
    const pictures = page.locator('article img');
    await expect
      .poll(() => pictures.first().evaluate((each: HTMLImageElement) => each.naturalWidth))
      .toBeGreaterThan(0);
  });
});
