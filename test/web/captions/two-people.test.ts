import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { cardOf, soon } from '../pairs/pairs-page.js';

describeInBrowser('two people who edit one caption', (site) => {
  const fieldOf = (page: Page) => page.getByLabel('Caption of one.jpg', { exact: true });
  const type = async (page: Page, text: string) => {
    await fieldOf(page).fill(text);
    await fieldOf(page).blur();
  };

  /** Two browsers with the page of one dataset, which has the caption `a red wagon`. */
  async function open() {
    const id = await datasetWith(site.api, await captionedImages({ one: 'a red wagon' }));
    const [first, second] = [(await site.open(`/datasets/${id}`)).page, (await site.open(`/datasets/${id}`)).page];
    for (const page of [first, second]) await soon(() => fieldOf(page).inputValue()).toBe('a red wagon');
    return { id, first, second };
  }

  test('see both versions with their differences, and merge them in place', async () => {
    const { id, first, second } = await open();
    await fieldOf(second).fill('an old red wagon');
    await type(first, 'a red wagon at dusk');
    await second.getByText('Changed elsewhere').waitFor();
    await fieldOf(second).blur();
    await second.getByRole('button', { name: 'Compare' }).click();
    const dialog = second.getByRole('dialog', { name: 'Two versions of one.txt' });
    const other = dialog.getByRole('region', { name: 'The other version' });
    await other.locator('ins').getByText('at dusk').waitFor();
    await other.locator('del').getByText('old').waitFor();
    const mine = dialog.getByLabel('Your text');
    await soon(() => mine.inputValue()).toBe('an old red wagon');
    expect(await site.api.text(id, 'one.txt')).toBe('a red wagon at dusk');
    await mine.fill('an old red wagon at dusk');
    await dialog.getByRole('button', { name: 'Save my text' }).click();
    await soon(() => fieldOf(first).inputValue()).toBe('an old red wagon at dusk');
    expect(await site.api.text(id, 'one.txt')).toBe('an old red wagon at dusk');
  });

  test('keep an unsaved text over a reload, and are asked if it was made from an older text', async () => {
    const { id, first, second } = await open();
    second.on('dialog', (dialog) => void dialog.accept());
    const isBlocked = (url: URL) => url.pathname.endsWith('/captions');
    await second.route(isBlocked, (route) => (route.request().method() === 'PUT' ? route.abort() : route.continue()));
    await type(second, 'mine');
    await second.getByRole('alert').getByText('Not saved').waitFor();
    await type(first, 'theirs');
    await soon(() => site.api.text(id, 'one.txt')).toBe('theirs');
    const other = await datasetWith(site.api, await captionedImages({ two: 'a depot' }));
    await second.goto(`${site.server.url}/datasets/${other}`);
    await second.getByRole('region', { name: 'Unsaved captions' }).waitFor();
    await soon(() => cardOf(second, 'two.jpg').count()).toBe(1);
    expect(await second.getByText('1 not saved').count()).toBe(0);
    await second.unroute(isBlocked);
    await second.goBack();
    await second.getByText('Changed elsewhere').waitFor();
    await soon(() => fieldOf(second).inputValue()).toBe('mine');
    expect(await site.api.text(id, 'one.txt')).toBe('theirs');
    await second.getByRole('button', { name: 'Take theirs' }).click();
    await soon(() => fieldOf(second).inputValue()).toBe('theirs');
  });

  test('keep a text whose pair one deletes and brings back, and it is saved', async () => {
    const { id, first, second } = await open();
    await fieldOf(second).fill('hours of work');
    await cardOf(first, 'one.jpg').getByRole('checkbox').check();
    await first.getByRole('button', { name: 'Delete', exact: true }).click();
    await first.getByRole('button', { name: 'Delete 2 files' }).click();
    const notice = second.getByRole('region', { name: 'Unsaved captions' });
    await notice.getByText('Changed or deleted elsewhere.').waitFor();
    await first.getByRole('region', { name: 'Last change' }).getByRole('button', { name: 'Undo' }).click();
    await soon(() => fieldOf(first).inputValue()).toBe('hours of work');
    await notice.waitFor({ state: 'detached' });
    expect(await site.api.text(id, 'one.txt')).toBe('hours of work');
  });
});
