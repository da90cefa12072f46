import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { boxOf, cardOf, soon } from './pairs-page.js';

describeInBrowser('selected pairs', (site) => {
  test('are copied to another dataset beside a pair that has the name, or moved once they arrived, and undone', async () => {
    const { api, open } = await site.newAccount();
    const pairs = await captionedImages({ a: 'snow', b: 'rain', c: 'fog' });
    const from = await datasetWith(api, pairs, { name: 'the evening' });
    const to = await datasetWith(api, await captionedImages({ a: 'a different snow' }), { name: 'chosen' });
    const { page } = await open(`/datasets/${from}`);
    const captionsOf = async (id: string) => {
      const names = (await api.filenames(id)).filter((name) => name.endsWith('.txt'));
      return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await api.text(id, name)])));
    };
    const choose = async (key: string, title: string) => {
      for (const name of ['a.jpg', 'b.jpg']) await boxOf(page, name).check();
      await page.keyboard.press(key);
      const dialog = page.getByRole('dialog', { name: title });
      await dialog.getByRole('combobox').fill('chos');
      await dialog.getByRole('option', { name: 'chosen', selected: true }).waitFor();
      await page.keyboard.press('Enter');
      return dialog;
    };
    const copied = await choose('y', 'Copy 2 pairs to');
    await copied.getByText('2 pairs copied to chosen, 1 with another name.').waitFor();
    expect(await captionsOf(to)).toEqual({ 'a.txt': 'a different snow', 'the_evening_a.txt': 'snow', 'b.txt': 'rain' });
    expect(await captionsOf(from)).toEqual({ 'a.txt': 'snow', 'b.txt': 'rain', 'c.txt': 'fog' });
    await copied.getByRole('link', { name: 'chosen' }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await soon(() => captionsOf(to)).toEqual({ 'a.txt': 'a different snow' });

    await page.goto(`${site.server.url}/datasets/${from}`);
    const lost = { status: 404, json: { error_code: 404000, error_message: 'It is gone.' } };
    await page.route(`**/${from}/files/b.jpg`, (route) => route.fulfill(lost));
    const moved = await choose('m', 'Move 2 pairs to');
    await moved.getByText('1 pair moved to chosen, 1 with another name.').waitFor();
    await moved.getByRole('alert').getByText('b.jpg: It is gone.').waitFor();
    await moved.getByRole('button', { name: 'Close' }).click();
    await cardOf(page, 'a.jpg').waitFor({ state: 'detached' });
    expect(await captionsOf(to)).toEqual({ 'a.txt': 'a different snow', 'the_evening_a.txt': 'snow', 'b.txt': 'rain' });
    expect(await captionsOf(from)).toEqual({ 'b.txt': 'rain', 'c.txt': 'fog' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await cardOf(page, 'a.jpg').waitFor();
  });
});
