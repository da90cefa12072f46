import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionOf, chooseMore } from '../pairs/pairs-page.js';

/** Controls that would change the dataset are not there, and nothing says that a token only reads. */
async function expectOnlyReading(page: Page): Promise<void> {
  await expect.poll(() => page.getByRole('checkbox').count()).toBe(0);
  await expect.poll(() => page.getByRole('button', { name: /Delete|Add|Dismiss|Select/ }).count()).toBe(0);
  await expect.poll(() => page.getByText(/Change many captions|token|Drop/).count()).toBe(0);
  await expect.poll(() => page.getByTitle(/token/).count()).toBe(0);
}

/** A link that the service made is a whole address. */
const AT_LINK = { at: { url: '' } };

describeInBrowser('the page Account', (site) => {
  test('makes a token, shows it once, and revokes it', async () => {
    const { page } = await site.open('/account');
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
    await expect.poll(() => page.getByText(secret).count()).toBe(0);
    await item.getByRole('button').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await item.waitFor({ state: 'detached' });
    expect((await made.list()).status).toBe(401);
    await page
      .getByRole('region', { name: 'Storage' })
      .getByText(/of 11\.0 TB/)
      .waitFor();
  });

  test('shares a dataset by a link that opens without an account, until it is revoked or the dataset deleted', async () => {
    const id = await site.api.newDataset('shared wagons');
    await site.api.upload(id, 'one.jpg', await media.jpeg());
    await site.api.upload(id, 'one.txt', 'a red wagon');
    const { page } = await site.open(`/datasets/${id}`);
    await chooseMore(page, 'Share the dataset');
    await page.getByRole('button', { name: 'Create a link' }).click();
    const url = (await page.getByRole('dialog').getByText('#share=').textContent()) ?? '';
    const guest = await site.openSignedOut(url, AT_LINK);
    await guest.page.getByRole('heading', { name: 'shared wagons' }).waitFor();
    expect(guest.page.url()).not.toContain('share=');
    await guest.page.getByRole('button', { name: 'Open one.jpg' }).click();
    await guest.page.getByRole('dialog').getByText('SHA-256').waitFor();
    await expectOnlyReading(guest.page);
    await guest.page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await guest.page.keyboard.press('Control+a');
    await expectOnlyReading(guest.page);
    await captionOf(guest.page, 'one.jpg').focus();
    await guest.page.keyboard.type('!');
    await expect.poll(() => captionOf(guest.page, 'one.jpg').inputValue()).toBe('a red wagon');
    await guest.page.getByRole('list', { name: 'Tags' }).getByText('a red wagon').waitFor();
    await expectOnlyReading(guest.page);
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Revoke the link/ })
      .click();
    await page.getByRole('list', { name: 'Links to this dataset' }).waitFor({ state: 'detached' });
    await guest.page.reload();
    await guest.page.getByRole('heading', { name: 'This link no longer works' }).waitFor();

    const { body } = await site.api.json<{ url: string }>('POST', `/${id}/shares`, {});
    // In the same tab, where only the part of the address after # changes.
    await guest.page.goto(body.url);
    await guest.page.getByRole('heading', { name: 'shared wagons' }).waitFor();
    await site.api.raw('DELETE', `/${id}`);
    // The open page learns it from its event stream.
    await guest.page.getByText('This dataset was deleted.').waitFor();
    await guest.page.reload();
    await guest.page.getByText('This dataset was deleted.').waitFor();
  });
});
