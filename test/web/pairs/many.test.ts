// @module-tag long
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { type Filled, fillCatalog } from '../../../bench/fill.js';
import { fillBlobs } from '../../../bench/fill-blobs.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { linkDatasets } from '../linked-datasets.js';
import { cardOf, filterOf, focusedOf, isPainted, namesOf, pictureOf, soon } from './pairs-page.js';

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
  });
});
