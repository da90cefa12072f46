import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WireWebhook } from '../../../src/api/webhook-schemas.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { isSigned, type Receiver, startReceiver } from '../../harness/receiver.js';
import { eventually } from '../../harness/server.js';

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
