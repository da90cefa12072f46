import type { Page } from 'playwright-core';
import { test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { cardOf, namesOf, soon } from '../pairs/pairs-page.js';

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
