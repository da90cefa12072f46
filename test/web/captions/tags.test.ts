import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { Gate } from '../../harness/gate.js';
import { captionedImages, openDataset, stemsTo } from '../linked-datasets.js';
import { boxOf, captionOf, cardOf, onSave, pictureOf, SAVES, soon } from '../pairs/pairs-page.js';

const SENTENCE = 'A blue_sky hangs over the city, and the train waits.';

describeInBrowser('the tags of a dataset', (site) => {
  const open = async (captions: Parameters<typeof captionedImages>[0]) => {
    const opened = await openDataset(site, captionedImages(captions));
    await tagsOf(opened.page).first().waitFor();
    return opened;
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
    await site.api.upload(id, 'one.txt', 'city');
    await page.getByText('1 near spelling').click();
    await page.getByRole('button', { name: 'Merge blue_sky (1) into blue sky (2)' }).click();
    await page.keyboard.press('Enter');
    await stores(id, 'two.txt', 'city, blue sky');
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
    const field = page.getByLabel('Tag', { exact: true });
    await field.fill('dusk');
    // A text that is selected past the edge of the dialog stays.
    const { x, y } = (await field.boundingBox())!;
    await page.mouse.move(x + 9, y + 9);
    await page.mouse.down();
    await page.mouse.move(1, y + 9);
    await page.mouse.up();
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
    await soon(() => tagsOf(page).allInnerTexts()).toEqual(['dusk\n1']);
    await boxOf(page, 'four.jpg').uncheck();
    await tagOf(page, 'dusk').press('+');
    await stores(id, 'one.txt', 'dusk');
    expect(await site.api.text(id, 'four.txt')).toBe('');
  });

  test('that are pinned to keys are toggled on the focused pair and on a selection', async () => {
    const { id, page } = await open({ one: 'city', two: 'dusk' });
    await tagOf(page, 'dusk').press('3');
    await pictureOf(page, 'one.jpg').focus();
    await page.keyboard.press('3');
    await stores(id, 'one.txt', 'city, dusk');
    await tagOf(page, 'dusk').filter({ hasText: 'dusk32' }).waitFor();
    await page.keyboard.press('3');
    await tagOf(page, 'dusk').filter({ hasText: 'dusk31' }).waitFor();
    await boxOf(page, 'one.jpg').check();
    await boxOf(page, 'two.jpg').check();
    await page.keyboard.press('3');
    await stores(id, 'one.txt', 'city, dusk');
    await page.getByText('1 caption changed.').waitFor();
    await page.reload();
    await soon(() => tagsOf(page).allInnerTexts()).toEqual(['dusk\n3\n2', 'city\n1']);
    await tagOf(page, 'dusk').press('F2');
    await page.keyboard.type('town');
    await page.keyboard.press('Enter');
    await soon(() => tagsOf(page).allInnerTexts()).toEqual(['town\n3\n2', 'city\n1']);
    await pictureOf(page, 'one.jpg').focus();
    await page.keyboard.press('3');
    await stores(id, 'one.txt', 'city');
  });

  test('are added to all selected pairs on a narrow window too', async () => {
    const captions = Object.fromEntries(stemsTo(60).map((stem) => [stem, 'city']));
    const { page } = await openDataset(site, captionedImages(captions), '', { width: 900 });
    await cardOf(page, '01.jpg').waitFor();
    await page.keyboard.press('Control+a');
    await page.getByRole('button', { name: 'Tag', exact: true }).click();
    await page.getByLabel('Tag', { exact: true }).fill('dusk');
    await page.getByRole('button', { name: 'Add to 60 captions' }).waitFor();
  });

  test('are added by their keys beside what is typed and not saved, and to no caption that could not be read', async () => {
    const { id, page } = await open({ one: 'city', two: 'dusk' });
    const card = cardOf(page, 'one.jpg');
    const press = async (key: string) => {
      await pictureOf(page, 'one.jpg').focus();
      await page.keyboard.press(key);
    };
    await tagOf(page, 'dusk').press('3');
    await onSave(page, (route) => route.abort());
    await captionOf(page, 'one.jpg').fill('town');
    await press('3');
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('town, dusk');
    await page.unroute(SAVES);
    await stores(id, 'one.txt', 'town, dusk');

    const [second, answered] = [new Gate(), page.waitForResponse(SAVES)];
    const refusal = { status: 400, json: { error_code: 400000, error_message: 'Not now.' } };
    let reads = 0;
    // It is read twice at the same time, and once that fails.
    await page.route(SAVES, async (route) => {
      if (++reads === 1) return second.opened.then(() => route.continue());
      second.open();
      await answered;
      return route.fulfill(refusal);
    });
    const refused = page.waitForResponse((response) => response.status() === refusal.status);
    await page.reload();
    await refused;
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('town, dusk');
    await page.reload();
    await card.getByText('Could not read the caption. Not now.').waitFor();
    await press('3');
    await page.getByText('The caption of one is not read yet.').waitFor();
    await page.unroute(SAVES);
    // A change of the dataset reads it again too, before the click: the field lies under its tags then.
    await card.getByRole('button', { name: 'Try again' }).or(captionOf(page, 'one.jpg')).first().dispatchEvent('click');
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('town, dusk');
  });

  test('are decided one picture after another with Y and N, and saved in one change', async () => {
    const { id, page } = await open({ one: 'city', two: 'dusk, city', three: undefined, four: SENTENCE });
    await tagOf(page, 'dusk').click();
    await page.getByRole('button', { name: 'Decide one by one' }).click();
    const dialog = page.getByRole('dialog', { name: '“dusk”?' });
    await dialog.getByText('0 of 3 decided · 1 caption in sentences left out').waitFor();
    await dialog.getByText('one.jpg').waitFor();
    // A key that is held decides about one.
    for (const _ of ['down', 'held']) await page.keyboard.down('y');
    await page.keyboard.up('y');
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
    // Decisions wait while another change runs. The browser's Back saves too.
    for (const key of ['g', 'h', 'g', 'w']) await page.keyboard.press(key);
    const gate = new Gate();
    await onSave(page, (route) => gate.opened.then(() => route.continue()));
    await boxOf(page, 'three.jpg').check();
    await tagOf(page, 'dusk').filter({ hasText: 'dusk1' }).press('+');
    await boxOf(page, 'three.jpg').uncheck();
    await tagOf(page, 'dusk').click();
    await page.getByRole('button', { name: 'Decide one by one' }).click();
    await page.getByText('Another change to captions runs.').waitFor();
    gate.open();
    await page.getByText('1 caption changed.').waitFor();
    await page.getByRole('button', { name: 'Decide one by one' }).click();
    await page.keyboard.press('y');
    await page.goBack();
    await stores(id, 'one.txt', 'city, dusk');
  });
});
