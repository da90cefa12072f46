// @module-tag long
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { type Filled, fillCatalog } from '../../../bench/fill.js';
import { fillBlobs } from '../../../bench/fill-blobs.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { linkDatasets } from '../linked-datasets.js';
import {
  boxOf,
  cardOf,
  filterOf,
  focusedOf,
  isPainted,
  namesOf,
  pictureOf,
  scrollOf,
  searchOf,
  soon,
} from './pairs-page.js';

const PAIRS = 10_000;

let id: string;
let control: string;

async function start(): Promise<TestServer> {
  const dataFolder = await temporaryFolder();
  const [filled] = (await fillCatalog({ dataFolder }, [
    { account: 'default', datasets: 2, images: PAIRS, captions: PAIRS },
  ])) as [Filled];
  await fillBlobs(dataFolder, [await media.jpeg({ seed: 1 }), await media.jpeg({ seed: 2 })]);
  [id, control] = filled.datasetIds as [string, string];
  return startServer({}, { dataFolder });
}

const smallOf = (page: Page, name: string) => cardOf(page, name).getByRole('button', { name: /^Compare with/ });

describeInBrowser('ten thousand pairs', { start }, (site) => {
  test('can all be reached, while few are rendered and the names of their controls are read once', async () => {
    expect((await site.api.json('PATCH', `/${control}`, { role: 'control' })).status).toBe(200);
    await linkDatasets(site.api, id, { control_1: control });
    const { page } = await site.open();
    const reads: string[] = [];
    page.on('request', (request) => request.url().endsWith(`/${control}/status`) && reads.push(request.url()));
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByText('10,000 pairs', { exact: true }).waitFor();
    await soon(() => isPainted(smallOf(page, 'image_0.jpg'))).toBe(true);
    await pictureOf(page, 'image_0.jpg').focus();
    await page.keyboard.press('End');
    await soon(() => focusedOf(page)).toBe('Open image_9999.jpg');
    await soon(() => isPainted(pictureOf(page, 'image_9999.jpg'))).toBe(true);
    await soon(() => isPainted(smallOf(page, 'image_9999.jpg'))).toBe(true);
    const caption = cardOf(page, 'image_9999.jpg').getByRole('textbox');
    await soon(() => caption.inputValue()).toContain('a signal beside the track');
    expect((await namesOf(page)).length).toBeLessThan(60);
    await site.api.raw('DELETE', `/${control}/files/image_9999.jpg`);
    await cardOf(page, 'image_9999.jpg').getByText('No control', { exact: true }).waitFor();
    await filterOf(page, 'No control or mask 1').waitFor();
    expect(reads).toHaveLength(1);
    await page.keyboard.press('Home');
    await searchOf(page).fill('_77');
    await page.getByText('111 pairs', { exact: true }).waitFor();
  });

  test('are selected as a range, and deleted without scrolling the page', async () => {
    const { page } = await site.open(`/datasets/${id}?file=image_5000.jpg`);
    await soon(() => focusedOf(page)).toBe('Open image_5000.jpg');
    await boxOf(page, 'image_5000.jpg').click();
    // A screen shows two rows of two.
    for (let i = 0; i < 74; i++) await page.keyboard.press('PageDown');
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Shift+Space');
    await page.getByText('300 of 10,000 selected').waitFor();

    const scroll = await scrollOf(page);
    const grid = await page.getByRole('list', { name: 'Pairs' }).elementHandle();
    await page.keyboard.press('Delete');
    await page.getByRole('button', { name: 'Delete 600 files' }).click();
    const progress = page.getByRole('progressbar', { name: 'Deleting' });
    await soon(() => progress.evaluate((bar: HTMLProgressElement) => bar.max)).toBe(600);
    await soon(() => progress.evaluate((bar: HTMLProgressElement) => bar.value)).toBeGreaterThan(0);
    await page.getByText('9,700 pairs', { exact: true }).waitFor();
    await progress.waitFor({ state: 'detached' });
    // The line that tells that the file of the address is gone may stand above by now, for which the browser makes up.
    expect(Math.abs((await scrollOf(page)) - scroll)).toBeLessThan(40);
    expect(await grid?.evaluate((list) => list.isConnected)).toBe(true);
    expect((await site.api.status(id)).body.counts.images).toBe(9700);
  });
});
