import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { soon } from '../pairs/pairs-page.js';

describeInBrowser('the page behind a proxy', (site) => {
  const fieldOf = (page: Page) => page.getByLabel('Caption of one.jpg', { exact: true });

  const newDataset = async () => datasetWith(site.api, await captionedImages({ one: 'before' }));

  test('that answers 404 for a moment shows the dataset after it', async () => {
    const id = await newDataset();
    const { page } = await site.open();
    const ofDataset = /\/(events|status)/;
    await page.clock.install();
    await page.route(ofDataset, (route) => route.fulfill({ status: 404, body: '404 page not found' }));
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByRole('alert').getByText('404 page not found').waitFor();
    await page.unroute(ofDataset);
    await soon(async () => {
      await page.clock.fastForward(5000);
      return fieldOf(page).count();
    }).toBe(1);
    await site.api.raw('DELETE', `/${id}`);
    await page.getByText('This dataset does not exist').waitFor();
  });

  test('that delays the events has the status read once, if nothing has changed', async () => {
    const id = await newDataset();
    const { page, context } = await site.open();
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const reads: string[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith(`/${id}/status`)) reads.push(request.url());
    });
    await page.route(/\/events/, async (route) => {
      await released;
      await route.continue();
    });
    await page.goto(`${site.server.url}/datasets/${id}`);
    await soon(() => fieldOf(page).inputValue()).toBe('before');
    // The first event has the runs read again, and must not have the status read.
    const runs = page.waitForResponse(/\/caption-runs/);
    release();
    await runs;
    expect(reads).toHaveLength(1);
    await context.close();
  });

  test('that holds the events back shows changes nevertheless', async () => {
    const id = await newDataset();
    const { page } = await site.open();
    await page.clock.install();
    await page.route(/\/events/, () => {});
    await page.goto(`${site.server.url}/datasets/${id}`);
    await soon(() => fieldOf(page).inputValue()).toBe('before');
    await site.api.upload(id, 'one.txt', 'after');
    await soon(async () => {
      await page.clock.fastForward(20_000);
      return fieldOf(page).inputValue();
    }).toBe('after');
  });
});
