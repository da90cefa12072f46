import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { eventually } from '../../harness/server.js';

/** Controls that would change the dataset are not there, and nothing says that a token only reads. */
async function expectOnlyReading(page: Page): Promise<void> {
  expect(await page.getByRole('checkbox').count()).toBe(0);
  expect(await page.getByRole('button', { name: /Delete|Add|Dismiss|Select/ }).count()).toBe(0);
  expect(await page.getByText(/Change many captions|token|Drop/).count()).toBe(0);
  expect(await page.getByTitle(/token/).count()).toBe(0);
}

describeInBrowser('the page Account', (site) => {
  test('makes a token, shows it once, and revokes it', async () => {
    const { page, browserErrors } = await site.open('/account');
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name', { exact: true }).fill('gpu');
    await page.getByLabel('Only reads').check();
    await page.getByRole('button', { name: 'Create token' }).click();
    const dialog = page.getByRole('dialog', { name: 'The new token' });
    const secret = (await dialog.getByText(/^ty_/).textContent()) ?? '';
    await dialog.getByText(`login ${site.server.url}`).waitFor();
    // Outside of the dialog, where a stray click must not lose the token.
    await page.mouse.click(2, 2);
    await dialog.getByRole('button', { name: 'Done' }).click();
    const made = new Api(site.server.url, secret);
    expect((await made.list()).status).toBe(200);
    const item = page.getByRole('listitem').filter({ hasText: 'gpu' });
    await item.getByText('only reads').waitFor();
    expect(await page.getByText(secret).count()).toBe(0);
    await item.getByRole('button').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await item.waitFor({ state: 'detached' });
    expect((await made.list()).status).toBe(401);
    await page
      .getByRole('region', { name: 'Storage' })
      .getByText(/of 11\.0 TB/)
      .waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('says in view why a token was not made, however long its name is', async () => {
    for (let i = 0; i < 8; i++) await site.api.newDataset(`wagons to choose ${i}`);
    const { page, browserErrors } = await site.open('/account', { width: 375, height: 667 });
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByRole('group', { name: /Only these datasets/ }).waitFor();
    await page.getByLabel('Name', { exact: true }).fill('x'.repeat(300));
    await page.getByRole('button', { name: 'Create token' }).click();
    const alert = page.getByRole('dialog').getByRole('alert');
    await alert.getByText('is not valid').waitFor();
    const { y = 0, height = 0 } = (await alert.boundingBox()) ?? {};
    const isSeen = await alert.evaluate((element, at) => element.contains(document.elementFromPoint(100, at)), y + 4);
    expect([isSeen, y + height < 667]).toEqual([true, true]);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(browserErrors).toEqual([]);
  });

  test('shares a dataset by a link that opens without an account, until it is revoked', async () => {
    const id = await site.api.newDataset('shared wagons');
    await site.api.upload(id, 'one.jpg', await media.jpeg());
    await site.api.upload(id, 'one.txt', 'a red wagon');
    const { page, browserErrors } = await site.open(`/datasets/${id}`);
    await page.getByRole('button', { name: 'Share the dataset' }).click();
    await page.getByRole('button', { name: 'Create a link' }).click();
    const url = (await page.getByRole('dialog').getByText('#share=').textContent()) ?? '';
    const guest = await visit(site.browser, { url: '' }, { path: url });
    await guest.page.getByRole('heading', { name: 'shared wagons' }).waitFor();
    expect(guest.page.url()).not.toContain('share=');
    await guest.page.getByRole('button', { name: 'Open one.jpg' }).click();
    await guest.page.getByRole('dialog').getByText('SHA-256').waitFor();
    await expectOnlyReading(guest.page);
    await guest.page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await guest.page.keyboard.press('Control+a');
    await expectOnlyReading(guest.page);
    await guest.page.getByRole('link', { name: 'Captions' }).click();
    await guest.page.getByText('a red wagon').first().waitFor();
    await expectOnlyReading(guest.page);
    await guest.page.reload();
    await guest.page.getByRole('heading', { name: 'shared wagons' }).waitFor();
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Revoke the link/ })
      .click();
    await page.getByRole('list', { name: 'Links to this dataset' }).waitFor({ state: 'detached' });
    await guest.page.reload();
    await guest.page.getByRole('heading', { name: 'This link no longer works' }).waitFor();
    expect([browserErrors, guest.browserErrors]).toEqual([[], []]);
  });

  test('says that a link has expired, and that its dataset was deleted', async () => {
    const id = await site.api.newDataset('short-lived wagons');
    const share = async (expires_in: number) =>
      (await site.api.json<{ url: string; secret: string }>('POST', `/${id}/shares`, { expires_in })).body;
    const [short, long] = [await share(1), await share(600)];
    const visitor = new Api(site.server.url, short.secret);
    await eventually(async () => ((await visitor.status(id)).status === 401 ? true : undefined));
    const late = await visit(site.browser, { url: '' }, { path: short.url });
    await late.page.getByRole('heading', { name: 'This link no longer works' }).waitFor();
    const guest = await visit(site.browser, { url: '' }, { path: long.url });
    await guest.page.getByText('No files yet').waitFor();
    await expectOnlyReading(guest.page);
    await site.api.raw('DELETE', `/${id}`);
    // The open page learns it from its event stream.
    await guest.page.getByText('This dataset was deleted.').waitFor();
    await guest.page.reload();
    await guest.page.getByText('This dataset was deleted.').waitFor();
    expect([late.browserErrors, guest.browserErrors]).toEqual([[], []]);
  });

  test('lists the links of a dataset to a token that only reads', async () => {
    const id = await site.api.newDataset('listed wagons');
    await site.api.json('POST', `/${id}/shares`, { name: 'Ada' });
    const { body } = await site.api.json<{ secret: string }>('POST', '/tokens', { read_only: true });
    const { page } = await visit(site.browser, site.server, { path: `/datasets/${id}`, token: body.secret });
    await page.getByText('a token that only reads').waitFor();
    await page.getByRole('button', { name: 'Share the dataset' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('list', { name: 'Links to this dataset' }).getByText('for Ada').waitFor();
    await dialog.getByText("It can't create or revoke links.").waitFor();
    const buttons = await dialog.getByRole('button').allTextContents();
    expect(buttons.filter((button) => /Create|Revoke/.test(button))).toEqual([]);
  });
});
