import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { boxOf, cardOf, soon } from './pairs-page.js';

describeInBrowser('selected pairs', (site) => {
  const openTwo = async (theirs: Parameters<typeof captionedImages>[0]) => {
    const { api, open } = await site.newAccount();
    const from = await datasetWith(api, await captionedImages({ a: 'snow', b: 'rain', c: 'fog' }), {
      name: 'the evening',
    });
    const to = await datasetWith(api, await captionedImages(theirs), { name: 'chosen' });
    const { page } = await open(`/datasets/${from}`);
    for (const name of ['a.jpg', 'b.jpg']) await boxOf(page, name).check();
    const captionsOf = async (id: string) => {
      const names = (await api.status(id)).body.files.map(({ filename }) => filename);
      const texts = names.filter((name) => name.endsWith('.txt')).map(async (name) => [name, await api.text(id, name)]);
      return Object.fromEntries(await Promise.all(texts));
    };
    return { page, from, to, captionsOf };
  };
  const choose = async (page: Page, key: string, title: string) => {
    await page.keyboard.press(key);
    const dialog = page.getByRole('dialog', { name: title });
    await dialog.getByRole('combobox').fill('chos');
    await dialog.getByRole('option', { name: 'chosen', selected: true }).waitFor();
    await page.keyboard.press('Enter');
    return dialog;
  };

  test('are copied to another dataset, beside a pair that has the name', async () => {
    const { page, from, to, captionsOf } = await openTwo({ a: 'a different snow' });
    const dialog = await choose(page, 'y', 'Copy 2 pairs to');
    await dialog.getByText('2 pairs copied to chosen, 1 with another name.').waitFor();
    expect(await captionsOf(to)).toEqual({ 'a.txt': 'a different snow', 'the_evening_a.txt': 'snow', 'b.txt': 'rain' });
    expect(await captionsOf(from)).toEqual({ 'a.txt': 'snow', 'b.txt': 'rain', 'c.txt': 'fog' });
    await dialog.getByRole('link', { name: 'chosen' }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await soon(() => captionsOf(to)).toEqual({ 'a.txt': 'a different snow' });
  });

  test('are moved to another dataset, and the move can be undone', async () => {
    const { page, from, to, captionsOf } = await openTwo({ d: 'a depot' });
    const dialog = await choose(page, 'm', 'Move 2 pairs to');
    await dialog.getByText('2 pairs moved to chosen.').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await cardOf(page, 'a.jpg').waitFor({ state: 'detached' });
    expect(await captionsOf(to)).toEqual({ 'a.txt': 'snow', 'b.txt': 'rain', 'd.txt': 'a depot' });
    expect(await captionsOf(from)).toEqual({ 'c.txt': 'fog' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await cardOf(page, 'a.jpg').waitFor();
  });
});
