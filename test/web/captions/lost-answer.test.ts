import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { soon } from '../pairs/pairs-page.js';

const SAVED = 'a wagon\r\nat dusk\r\n';
const SHOWN = 'a wagon\nat dusk';
const MISTAKE = 'a mistake';

describeInBrowser('a caption whose save has no answer', (site) => {
  test('is in question when it is taken back by Escape and was stored', async () => {
    const id = await datasetWith(site.api, await captionedImages({ one: SAVED }));
    const { page } = await site.open();
    // It hears of no change.
    await page.route(/\/events/, (route) => route.abort());
    await page.goto(`${site.server.url}/datasets/${id}`);
    const field = page.getByLabel('Caption of one.jpg', { exact: true });
    await soon(() => field.inputValue()).toBe(SHOWN);
    await page.route(/\/status/, (route) => route.abort());
    let saves = 0;
    await page.route(/\/captions$/, async (route) => {
      if (route.request().method() !== 'PUT') return route.continue();
      if (++saves === 1) await route.fetch();
      return route.abort('connectionreset');
    });
    await field.fill(MISTAKE);
    await field.blur();
    await page.getByRole('alert').getByText('Not saved').waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe(`${MISTAKE}\r\n`);
    // While a save is tried again, Escape leaves the text that is sent.
    await soon(async () => {
      await field.press('Escape');
      return field.inputValue();
    }).toBe(SHOWN);
    await page.locator('q').getByText(MISTAKE, { exact: true }).waitFor();
    await page.unroute(/\/captions$/);
    await page.getByRole('button', { name: 'Keep mine' }).click();
    await soon(() => site.api.text(id, 'one.txt')).toBe(SAVED);
  });
});
