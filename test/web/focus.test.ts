import type { Page, Route } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { describeInBrowser } from '../harness/describe-in-browser.js';

/** Clicks the button as a keyboard does. */
async function press(page: Page, name: string | RegExp, within = 'body'): Promise<void> {
  await page.locator(within).getByRole('button', { name, exact: true }).first().focus();
  await page.keyboard.press('Enter');
}

/** The element that has the focus: its role or kind, and its name or the start of its text. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { activeElement } = document;
    if (activeElement === null || activeElement === document.body) return 'nothing';
    const { localName, ariaLabel, textContent } = activeElement;
    return `${localName} ${ariaLabel ?? textContent?.trimStart()}`;
  });
}

async function expectFocus(page: Page, pattern: RegExp): Promise<void> {
  await expect.poll(() => focused(page)).toMatch(pattern);
}

describeInBrowser('the focus of a keyboard', (site) => {
  test('stays in the dialog whose links are made and revoked', async () => {
    const id = await site.api.newDataset('shared wagons');
    const { page } = await site.open(`/datasets/${id}`);
    // The first list arrives after a link is made.
    const answerLate = async (route: Route) => {
      const response = await route.fetch();
      await page.getByText('Copy it now').waitFor();
      await route.fulfill({ response });
    };
    await page.route('**/shares', answerLate, { times: 1 });
    await press(page, 'More');
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowUp']) await page.keyboard.press(key);
    await expectFocus(page, /^button Caption with a model/);
    await press(page, 'Share the dataset');
    const links = page.getByRole('list', { name: 'Links to this dataset' }).getByRole('listitem');
    for (const count of [1, 2]) {
      await press(page, 'Create a link');
      await expect.poll(() => links.count()).toBe(count);
      await expectFocus(page, /^button Create a link/);
    }
    await press(page, /^Revoke the link/);
    await expect.poll(() => links.count()).toBe(1);
    await expectFocus(page, /^li ty_/);
    await press(page, /^Revoke the link/);
    await expect.poll(() => links.count()).toBe(0);
    await expectFocus(page, /^dialog Share shared wagons/);
    await press(page, 'Done');
    await expectFocus(page, /^button More/);
  });

  test('goes to the neighbour of what is dismissed or revoked, and to the view that is left', async () => {
    const id = await site.api.newDataset('rejected wagons');
    for (const name of ['a.jpg', 'b.jpg', 'c.jpg']) await site.api.upload(id, name, media.damaged.html());
    for (const name of ['gpu', 'gpu too']) await site.api.json('POST', '/tokens', { name });
    const { page } = await site.open(`/datasets/${id}?filter=rejected`);
    await press(page, 'Dismiss a.jpg');
    await page.getByText('a.jpg', { exact: true }).waitFor({ state: 'detached' });
    await expectFocus(page, /^button Dismiss b.jpg/);
    // Enter is held for longer than its entry is there.
    await page.keyboard.down('Enter');
    await expectFocus(page, /^button Dismiss c.jpg/);
    await page.keyboard.down('Enter');
    await page.keyboard.up('Enter');
    await press(page, 'Dismiss c.jpg');
    await page.getByText('c.jpg', { exact: true }).waitFor({ state: 'detached' });
    await expectFocus(page, /^main /);
    await press(page, 'More');
    await page.getByRole('link', { name: 'Account' }).focus();
    await page.keyboard.press('Enter');
    await press(page, /^Revoke gpu ty_/);
    await press(page, 'Revoke', 'dialog');
    await page.getByText('gpu', { exact: true }).waitFor({ state: 'detached' });
    await expectFocus(page, /^li /);
  });

  test('goes to the next dataset when one is deleted, and to the view that a link leads to', async () => {
    for (const name of ['left wagons', 'deleted wagons']) await site.api.newDataset(name);
    const { page } = await site.open();
    await press(page, 'More for deleted wagons');
    await press(page, 'Delete');
    await page.getByRole('dialog').getByRole('textbox').fill('deleted wagons');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expectFocus(page, /^li .*left wagons/);
    await page.getByRole('link', { name: 'left wagons' }).focus();
    await page.keyboard.press('Enter');
    await expectFocus(page, /^main No files yet/);
  });
});
