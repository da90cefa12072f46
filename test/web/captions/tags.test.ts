import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { boxOf, pictureOf, soon } from '../pairs/pairs-page.js';

const SENTENCE = 'A blue_sky hangs over the city, and the train waits.';

describeInBrowser('the tags of a dataset', (site) => {
  const open = async (captions: Parameters<typeof captionedImages>[0]) => {
    const id = await datasetWith(site.api, await captionedImages(captions));
    const { page } = await site.open(`/datasets/${id}`);
    await tagsOf(page).first().waitFor();
    return { id, page };
  };
  const tagsOf = (page: Page) =>
    page.getByRole('list', { name: 'Tags' }).getByRole('button', { name: /\d$/ }).filter({ hasNotText: 'key' });
  const tagOf = (page: Page, tag: string) => tagsOf(page).filter({ hasText: new RegExp(`^${tag}\\d+$`) });
  const stores = (id: string, name: string, text: string) => soon(() => site.api.text(id, name)).toBe(text);

  test('are renamed with F2, text, Enter; a merge collapses doubles, and one undo takes it back', async () => {
    const { id, page } = await open({
      one: 'blue_sky, city',
      two: 'city, blue sky, blue_sky',
      three: 'blue sky',
      four: SENTENCE,
    });
    await page.getByText('3 different tags. 1 caption in sentences: see Words.').waitFor();
    await tagOf(page, 'blue_sky').click();
    await page.getByText('2 pairs', { exact: true }).waitFor();
    await tagOf(page, 'blue_sky').press('F2');
    await page.keyboard.type('azure');
    await page.getByRole('button', { name: 'Rename in 2 captions' }).waitFor();
    await page.getByLabel('New text of the tag blue_sky').fill('blue sky');
    await page.getByRole('button', { name: 'Merge into blue sky (2)' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('2 captions changed.').waitFor();
    await stores(id, 'one.txt', 'blue sky, city');
    await stores(id, 'two.txt', 'city, blue sky');
    expect(await site.api.text(id, 'four.txt')).toBe(SENTENCE);
    // The filter follows the tag: no heading counts captions of a tag that is gone.
    await page.getByRole('button', { name: 'Without tag “blue sky”' }).waitFor();
    await page.getByText('3 pairs', { exact: true }).waitFor();
    await soon(() => tagsOf(page).allInnerTexts()).toEqual(['blue sky\n3', 'city\n2']);
    await page.getByRole('button', { name: 'Undo' }).click();
    await stores(id, 'two.txt', 'city, blue sky, blue_sky');
  });

  test('keep what is typed for one of them when another client changes their order', async () => {
    const { id, page } = await open({ one: 'city', two: 'dusk', three: 'dusk' });
    await tagOf(page, 'city').click();
    await tagOf(page, 'city').press('F2');
    await page.getByLabel('New text of the tag city').fill('town');
    await site.api.upload(id, 'three.txt', 'city');
    await page.getByRole('button', { name: 'Rename in 2 captions' }).waitFor();
    expect(await page.getByLabel('New text of the tag city').inputValue()).toBe('town');
  });

  test('are added to a selection with T, and removed with R or Del, except from captions that are left out', async () => {
    const { id, page } = await open({ one: 'city', two: undefined, three: SENTENCE, four: 'city, dusk' });
    for (const name of ['one.jpg', 'two.jpg', 'three.jpg', 'four.jpg']) await boxOf(page, name).check();
    await page.keyboard.press('t');
    await page.getByLabel('Tag', { exact: true }).fill('dusk');
    await page.getByText('1 caption is written in sentences, and stays as it is.').waitFor();
    await page.getByRole('button', { name: 'Add to 2 captions' }).waitFor();
    await page.keyboard.press('Enter');
    await stores(id, 'one.txt', 'city, dusk');
    await stores(id, 'two.txt', 'dusk');
    expect(await site.api.text(id, 'three.txt')).toBe(SENTENCE);
    await soon(() => tagsOf(page).allInnerTexts()).toEqual(['dusk\n3', 'city\n2']);
    await page.keyboard.press('r');
    await page.getByRole('list', { name: 'Tags of these pairs' }).getByRole('button', { name: 'city 2' }).click();
    await page.getByRole('button', { name: 'Remove from 2 captions' }).click();
    await stores(id, 'one.txt', 'dusk');
    await stores(id, 'four.txt', 'dusk');
    await tagOf(page, 'dusk').focus();
    await page.keyboard.press('Delete');
    await page.getByRole('checkbox', { name: 'Change two.txt' }).uncheck();
    await page.getByRole('button', { name: 'Remove from 2 captions' }).click();
    await stores(id, 'one.txt', '');
    expect(await site.api.text(id, 'two.txt')).toBe('dusk');
  });

  test('that are pinned to keys are toggled on the focused pair and on a selection', async () => {
    const { id, page } = await open({ one: 'city', two: 'dusk' });
    await tagOf(page, 'dusk').press('3');
    await pictureOf(page, 'one.jpg').focus();
    await page.keyboard.press('3');
    await stores(id, 'one.txt', 'city, dusk');
    await page.getByText('“dusk” added to one.').waitFor();
    await page.keyboard.press('3');
    await stores(id, 'one.txt', 'city');
    await boxOf(page, 'one.jpg').check();
    await boxOf(page, 'two.jpg').check();
    await page.keyboard.press('3');
    await stores(id, 'one.txt', 'city, dusk');
    await page.getByText('1 caption changed.').waitFor();
    await page.reload();
    await soon(() => tagsOf(page).allInnerTexts()).toEqual(['dusk\n3\n2', 'city\n1']);
  });

  test('are decided one picture after another with Y and N, and saved in one change', async () => {
    const { id, page } = await open({ one: 'city', two: 'dusk, city', three: undefined, four: SENTENCE });
    await tagOf(page, 'dusk').click();
    await page.getByRole('button', { name: 'Decide one by one' }).click();
    const dialog = page.getByRole('dialog', { name: '“dusk”?' });
    await dialog.getByText('0 of 3 decided · 1 caption in sentences left out').waitFor();
    await dialog.getByText('one.jpg').waitFor();
    await page.keyboard.press('y');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('n');
    await page.keyboard.press('y');
    await dialog.getByText('two.jpg').waitFor();
    await page.keyboard.press('n');
    await dialog.getByText('3 of 3 decided').waitFor();
    await dialog.getByText('That was the last picture.').waitFor();
    await dialog.getByRole('button', { name: 'Save 2 changes' }).click();
    await stores(id, 'three.txt', 'dusk');
    await stores(id, 'two.txt', 'city');
    expect(await site.api.text(id, 'one.txt')).toBe('city');
    await page.getByRole('button', { name: 'Undo' }).click();
    await stores(id, 'two.txt', 'dusk, city');
    await soon(() => site.api.filenames(id)).not.toContain('three.txt');
  });
});
