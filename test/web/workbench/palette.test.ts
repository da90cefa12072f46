import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { boxOf, cardOf, chooseMore, namesOf, soon } from '../pairs/pairs-page.js';

const palette = (page: Page) => page.getByRole('dialog', { name: 'Go to, or do' });
const chosen = (page: Page) => palette(page).getByRole('option', { selected: true });

describeInBrowser('the palette', (site) => {
  test('goes to datasets, tags, files and pages by name, with the keyboard alone', async () => {
    const { api, open } = await site.newAccount();
    const id = await datasetWith(api, await captionedImages({ a: 'snow, red wagon', b: 'rain' }), { name: 'evening' });
    await datasetWith(api, await captionedImages({ c: 'a depot' }), { name: 'morning' });
    const { page } = await open(`/datasets/${id}`);
    const goTo = async (text: string, label: string) => {
      await page.keyboard.press('Control+k');
      await palette(page).getByRole('combobox').fill(text);
      await soon(() => chosen(page).textContent()).toContain(label);
      await page.keyboard.press('Enter');
      await palette(page).waitFor({ state: 'detached' });
    };
    await cardOf(page, 'a.jpg').waitFor();
    await goTo('wagon red', 'red wagon');
    await soon(() => namesOf(page)).toEqual(['a.jpg']);
    await goTo('b.j', 'b.jpg');
    await page.waitForURL(/[?]file=b\.jpg$/);
    await goTo('morn', 'morning');
    await cardOf(page, 'c.jpg').waitFor();
    await goTo('go to the his', 'Go to the history');
    await page.waitForURL(/\/history$/);
    await goTo('guide: settings', 'Guide: Settings');
    await page.waitForURL(/\/guide\/configuration$/);
  });

  test('offers what can be done here and now, and does it', async () => {
    const id = await datasetWith(site.api, await captionedImages({ a: 'snow', b: 'rain' }));
    const { page } = await site.open(`/datasets/${id}`, { width: 390, height: 844 });
    const offered = (name: string) => palette(page).getByRole('option', { name }).count();
    await cardOf(page, 'a.jpg').waitFor();
    await chooseMore(page, 'Go to, or do …');
    await palette(page).waitFor();
    expect(await offered('Compare 2 to 4')).toBe(0);
    await page.keyboard.press('Escape');
    for (const name of ['a.jpg', 'b.jpg']) await boxOf(page, name).check();
    await chooseMore(page, 'Go to, or do …');
    expect(await offered('Compare 2 to 4')).toBe(1);
    await palette(page).getByRole('combobox').fill('tag');
    await palette(page).getByRole('option', { name: 'Add a tag to the selected pairs' }).click();
    await page.getByRole('dialog', { name: 'Add a tag to 2 pairs' }).waitFor();
  });
});
