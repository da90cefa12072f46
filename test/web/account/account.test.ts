import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WireToken } from '../../../src/api/account-schemas.js';
import type { WireWebhook } from '../../../src/api/webhook-schemas.js';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { isSigned, type Receiver, startReceiver } from '../../harness/receiver.js';
import { eventually } from '../../harness/server.js';
import { datasetWith, linkDatasets } from '../linked-datasets.js';
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

/** A token that this one makes. */
async function tokenOf(api: Api, name: string): Promise<Api> {
  return new Api(api.url, (await api.json<{ secret: string }>('POST', '/tokens', { name })).body.secret);
}

describeInBrowser('the page Account', (site) => {
  /** The newest token, session or share link, and for how many days it was made. */
  async function newestToken() {
    const { tokens } = (await site.api.request<{ tokens: WireToken[] }>('GET', '/tokens')).body;
    const { name, read_only: isReadOnly, created_at, expires_at } = tokens.at(-1)!;
    // To the second: both times are read from a clock, one after the other.
    const seconds = Math.round((Date.parse(`${expires_at}Z`) - Date.parse(`${created_at}Z`)) / 1000);
    return { name, isReadOnly, days: seconds / 86_400 };
  }

  test('makes a token with the rights that are chosen, shows it once, and revokes it', async () => {
    const id = await site.api.newDataset('for the gpu');
    const { page } = await site.open('/account');
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name', { exact: true }).fill('gpu');
    await page.getByLabel('Only reads').check();
    await page.getByLabel('for the gpu').check();
    await page.getByText('90 days', { exact: true }).click();
    await page.getByRole('button', { name: 'Create token' }).click();
    const dialog = page.getByRole('dialog', { name: 'The new token' });
    const secret = (await dialog.getByText(/^ty_/).textContent()) ?? '';
    await dialog.getByText(`login ${site.server.url}`).waitFor();
    // Outside of the dialog, where a stray click must not lose the token.
    await page.mouse.click(2, 2);
    await dialog.getByRole('button', { name: 'Done' }).click();
    const made = new Api(site.server.url, secret);
    expect((await made.list()).body.datasets).toMatchObject([{ id }]);
    expect(await newestToken()).toEqual({ name: 'gpu', isReadOnly: true, days: 90 });
    const item = page.getByRole('listitem').filter({ hasText: 'gpu' });
    await item.getByText('only reads').waitFor();
    await expect.poll(() => page.getByText(secret).count()).toBe(0);
    await item.getByRole('button').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await item.waitFor({ state: 'detached' });
    expect((await made.list()).status).toBe(401);
    const maker = await tokenOf(site.api, 'maker');
    const known = await tokenOf(maker, 'known');
    await page.reload();
    await page.getByRole('button', { name: /^Revoke maker/ }).click();
    await page.getByLabel('Also revoke the 1 token that it made').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect([(await maker.list()).status, (await known.list()).status]).toEqual([401, 401]);
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
    await page.getByText('a day', { exact: true }).click();
    await page.getByRole('button', { name: 'Create a link' }).click();
    const url = (await page.getByRole('dialog').getByText('#share=').textContent()) ?? '';
    const guest = await site.openSignedOut(url, AT_LINK);
    await guest.page.getByRole('heading', { name: 'shared wagons' }).waitFor();
    expect(guest.page.url()).not.toContain('share=');
    expect(await newestToken()).toMatchObject({ days: 1 });
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

    await linkDatasets(site.api, id, { control_1: await datasetWith(site.api, {}, { role: 'control' }) });
    const { body } = await site.api.json<{ url: string }>('POST', `/${id}/shares`, {});
    // In the same tab, where only the part of the address after # changes.
    await guest.page.goto(body.url);
    await guest.page.getByText('controls or masks, which are not shared.').waitFor();
    await site.api.raw('DELETE', `/${id}`);
    // The open page learns it from its event stream.
    await guest.page.getByText('This dataset was deleted.').waitFor();
    await guest.page.reload();
    await guest.page.getByText('This dataset was deleted.').waitFor();
  });
});

describeInBrowser('webhooks on the page Account', (site) => {
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await startReceiver();
  });
  afterAll(() => receiver.close());

  const panel = (page: Page) => page.getByRole('region', { name: 'Webhooks' });
  const item = (page: Page, url: string) =>
    panel(page).getByRole('list', { name: 'Webhooks' }).getByRole('listitem').filter({ hasText: url }).first();
  const deliveries = (page: Page, url: string) =>
    page.getByRole('list', { name: `Last deliveries to ${url}` }).getByRole('listitem');
  const webhooks = async () => (await site.api.request<{ webhooks: WireWebhook[] }>('GET', '/webhooks')).body.webhooks;

  test('are made with a secret that is shown once, tested, disabled and deleted', async () => {
    const { url } = receiver;
    const { page } = await site.open('/account');
    await panel(page).getByText('There are no webhooks.').waitFor();
    await page.getByRole('button', { name: 'New webhook' }).click();
    const form = page.getByRole('dialog', { name: 'New webhook' });
    await form.getByLabel('URL').fill('https://10.0.0.1/hook');
    await form.getByRole('button', { name: 'Create webhook' }).click();
    await form
      .getByRole('alert')
      .filter({ hasText: '10.0.0.1 is not a host of the public Internet. Ask the operator of this server' })
      .waitFor();
    expect(await webhooks()).toEqual([]);
    await form.getByLabel('URL').fill(url);
    await form.getByLabel('was deleted').uncheck();
    await form.getByRole('button', { name: 'Create webhook' }).click();
    const dialog = page.getByRole('dialog', { name: 'The secret of the new webhook' });
    const secret = (await dialog.getByText(/^whsec_/).textContent()) ?? '';
    await dialog.getByRole('button', { name: 'Done' }).click();
    await item(page, url).getByText('READY, FAILED').waitFor();
    await expect.poll(() => page.getByText(secret).count()).toBe(0);
    expect((await webhooks()).map(({ url, events }) => ({ url, events }))).toEqual([
      { url, events: ['dataset.ready', 'dataset.failed', 'captions.finished'] },
    ]);

    await page.getByRole('button', { name: `Send a test to ${url}` }).click();
    await deliveries(page, url).filter({ hasText: 'test' }).getByText('delivered').waitFor();
    expect(receiver.events().map(({ type }) => type)).toEqual(['webhook.test']);
    expect(isSigned(receiver.received[0]!, secret)).toBe(true);

    await page.getByRole('button', { name: `Disable ${url}` }).click();
    await item(page, url).getByText('disabled', { exact: true }).waitFor();
    expect((await webhooks())[0]?.enabled).toBe(false);
    await page.getByRole('button', { name: `Enable ${url}` }).click();
    await page.getByRole('button', { name: `Disable ${url}` }).waitFor();

    await page.getByRole('button', { name: `Delete ${url}` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
    await panel(page).getByText('There are no webhooks.').waitFor();
    expect(await webhooks()).toEqual([]);
  });

  test('show their last deliveries: of which dataset, how they ended and when, and send them again', {
    tags: ['long'],
  }, async () => {
    const failing = await startReceiver();
    failing.answer = (response) => response.writeHead(500).end();
    try {
      const { url } = failing;
      await site.api.json('POST', '/webhooks', { url, events: ['dataset.ready'] });
      const id = await site.api.newDataset('announced wagons');
      await site.api.upload(id, 'one.jpg', await media.jpeg());
      await site.api.upload(id, 'one.txt', 'a wagon');
      const { page } = await site.open('/account');
      const delivery = deliveries(page, url).filter({ hasText: 'READY: announced wagons' });
      await delivery.getByText('waiting').waitFor();
      await delivery.getByText('The receiver answered 500.').waitFor();
      await delivery.getByText('next attempt').waitFor();
      failing.answer = (response) => response.writeHead(204).end();
      const again = page.getByRole('button', { name: `Send again: READY: announced wagons to ${url}` });
      await again.click();
      await delivery.getByText('delivered').waitFor();
      const before = failing.received.length;
      await again.click();
      await eventually(() => (failing.received.length > before ? true : undefined));
      const ids = failing.received.map(({ headers }) => headers['webhook-id']);
      expect(new Set(ids).size).toBe(1);
    } finally {
      await failing.close();
    }
  });
});
