import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { isSigned, type Receiver, startReceiver } from '../../harness/receiver.js';
import { eventually, startServer } from '../../harness/server.js';

const start = () => startServer({ 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.0/8' });

describeInBrowser('webhooks on the page Account', { start }, (site) => {
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
  const webhooks = async () => (await site.api.request<{ webhooks: Listed[] }>('GET', '/webhooks')).body.webhooks;

  interface Listed {
    readonly id: string;
    readonly url: string;
    readonly events: string[];
    readonly enabled: boolean;
  }

  test('are made with a secret that is shown once, tested, disabled and deleted', async () => {
    const { url } = receiver;
    const { page, browserErrors } = await site.open('/account');
    await panel(page).getByText('There are no webhooks.').waitFor();
    await page.getByRole('button', { name: 'New webhook' }).click();
    const form = page.getByRole('dialog', { name: 'New webhook' });
    await form.getByText('All other addresses are rejected').waitFor();
    await form.getByLabel('URL').fill(url);
    await form.getByLabel('was deleted').uncheck();
    await form.getByRole('button', { name: 'Create webhook' }).click();
    const dialog = page.getByRole('dialog', { name: 'The secret of the new webhook' });
    const secret = (await dialog.getByText(/^whsec_/).textContent()) ?? '';
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await dialog.getByRole('button', { name: 'Copy the secret' }).click();
    await dialog.getByText('Copied the secret').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await item(page, url).getByText('READY, FAILED').waitFor();
    await item(page, url).getByText('Nothing was sent yet.').waitFor();
    expect(await page.getByText(secret).count()).toBe(0);
    expect((await webhooks()).map(({ url, events }) => ({ url, events }))).toEqual([
      { url, events: ['dataset.ready', 'dataset.failed'] },
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
    expect(browserErrors).toEqual([]);
  });

  test('show their last deliveries: of which dataset, how they ended and when, and send them again', async () => {
    const failing = await startReceiver();
    failing.answer = (response) => response.writeHead(500).end();
    try {
      const { url } = failing;
      await site.api.json('POST', '/webhooks', { url, events: ['dataset.ready'] });
      const id = await site.api.newDataset('announced wagons');
      await site.api.upload(id, 'one.jpg', await media.jpeg());
      await site.api.upload(id, 'one.txt', 'a wagon');
      const { page, browserErrors } = await site.open('/account');
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
      for (let i = 0; i < 3; i++) await page.getByRole('button', { name: `Send a test to ${url}` }).click();
      await page.getByRole('button', { name: `more deliveries to ${url}` }).click();
      await expect.poll(() => deliveries(page, url).count()).toBe(4);
      expect(browserErrors).toEqual([]);
    } finally {
      await failing.close();
    }
  });

  test('an address that is refused is told in the dialog, and nothing is made', async () => {
    const before = await webhooks();
    const { page } = await site.open('/account');
    await page.getByRole('button', { name: 'New webhook' }).click();
    const form = page.getByRole('dialog', { name: 'New webhook' });
    await form.getByLabel('URL').fill('https://10.0.0.1/hook');
    await form.getByRole('button', { name: 'Create webhook' }).click();
    await form
      .getByRole('alert')
      .filter({ hasText: '10.0.0.1 is not a host of the public Internet. Ask the operator of this server' })
      .waitFor();
    expect(await webhooks()).toEqual(before);
  });

  test('a token that only reads sees them and changes nothing, and one that is bound to datasets is told why it sees none', async () => {
    await site.api.json('POST', '/webhooks', { url: receiver.url });
    // The path may be a secret.
    const url = `${new URL(receiver.url).origin}/…`;
    const reader = await site.api.json<{ secret: string }>('POST', '/tokens', { read_only: true });
    const { page } = await visit(site.browser, site.server, { path: '/account', token: reader.body.secret });
    await item(page, url).getByText('Nothing was sent yet.').waitFor();
    for (const name of ['New webhook', `Send a test to ${url}`, `Disable ${url}`, `Delete ${url}`]) {
      expect([name, await page.getByRole('button', { name }).isDisabled()]).toEqual([name, true]);
    }
    const datasets = [await site.api.newDataset('bound')];
    const bound = await site.api.json<{ secret: string }>('POST', '/tokens', { datasets });
    const other = await visit(site.browser, site.server, { path: '/account', token: bound.body.secret });
    await panel(other.page).getByText('webhooks report on all datasets').waitFor();
    expect(await other.page.getByRole('button', { name: 'New webhook' }).count()).toBe(0);
    expect(await other.page.getByRole('list', { name: 'Webhooks' }).count()).toBe(0);
    expect(other.browserErrors).toEqual([]);
  });
});
