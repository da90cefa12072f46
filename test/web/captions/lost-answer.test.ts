import type { Page, Route } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { soon } from '../pairs/pairs-page.js';

const SAVED = 'a wagon\r\nat dusk\r\n';
const SHOWN = 'a wagon\nat dusk';
const MISTAKE = 'a mistake';

describeInBrowser('a caption whose save has no answer', (site) => {
  const fieldOf = (page: Page) => page.getByLabel('Caption of one.jpg', { exact: true });
  const notice = (page: Page) => page.getByRole('alert').getByText('Not saved');
  const type = async (page: Page, text: string) => {
    await fieldOf(page).fill(text);
    await fieldOf(page).blur();
  };

  /** While a save is tried again, Escape leaves the text that is sent. */
  const takeBack = (page: Page) =>
    soon(async () => {
      await fieldOf(page).press('Escape');
      return fieldOf(page).inputValue();
    }).toBe(SHOWN);

  /** The page of a dataset with the caption `SAVED`. It hears of no change, unless `hearsOfChanges`. */
  async function open({ hearsOfChanges = false } = {}) {
    const id = await datasetWith(site.api, await captionedImages({ one: SAVED }));
    const { page } = await site.open();
    if (!hearsOfChanges) await page.route(/\/events/, (route) => route.abort());
    await page.goto(`${site.server.url}/datasets/${id}`);
    await soon(() => fieldOf(page).inputValue()).toBe(SHOWN);
    if (!hearsOfChanges) await page.route(/\/status/, (route) => route.abort());
    return { id, page };
  }

  /** Lets `first` handle the next save, and breaks the connection of each. Returns how many there were. */
  async function breakSaves(page: Page, first: (route: Route) => Promise<unknown> = async () => {}) {
    let saves = 0;
    await page.route(/\/captions$/, async (route) => {
      if (route.request().method() !== 'PUT') return route.continue();
      saves++;
      if (saves === 1) await first(route);
      return route.abort('connectionreset');
    });
    return () => saves;
  }

  test('is as before when it is taken back by Escape and was not stored, and in question if it was', async () => {
    const { id, page } = await open();
    const saves = await breakSaves(page);
    await type(page, MISTAKE);
    await notice(page).waitFor();
    await takeBack(page);
    await notice(page).waitFor({ state: 'detached' });
    const tried = saves();
    await soon(() => fieldOf(page).inputValue()).toBe(SHOWN);
    expect(await site.api.text(id, 'one.txt')).toBe(SAVED);
    expect(saves()).toBe(tried);

    await page.unroute(/\/captions$/);
    await breakSaves(page, (route) => route.fetch());
    await type(page, MISTAKE);
    await notice(page).waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe(`${MISTAKE}\r\n`);
    await takeBack(page);
    await page.locator('q').getByText(MISTAKE, { exact: true }).waitFor();
    await soon(() => fieldOf(page).inputValue()).toBe(SHOWN);
    await page.unroute(/\/captions$/);
    await page.getByRole('button', { name: 'Keep mine' }).click();
    await soon(() => site.api.text(id, 'one.txt')).toBe(SAVED);
  });

  test('is saved once the page hears that it was stored, also if it hears of it during the save', {
    tags: ['long'],
  }, async () => {
    const { id, page } = await open({ hearsOfChanges: true });
    await breakSaves(page, async (route) => {
      const isRead = page.waitForResponse(
        (response) => response.url().endsWith('/captions') && response.request().method() === 'POST',
      );
      await route.fetch();
      await isRead;
    });
    await type(page, MISTAKE);
    await soon(() => site.api.text(id, 'one.txt')).toBe(`${MISTAKE}\r\n`);
    await page.getByText('Saving …').waitFor({ state: 'detached' });
    await notice(page).waitFor({ state: 'detached' });
    // No draft is left, so that Escape changes nothing.
    await fieldOf(page).press('Escape');
    await soon(() => fieldOf(page).inputValue()).toBe(MISTAKE);
  });
});
