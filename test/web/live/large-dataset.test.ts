// @module-tag long
import type { Page, Request } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { cardOf, soon } from '../pairs/pairs-page.js';

const CAPTIONS = 3000;
/** The status of the dataset is more than ten times as large. */
const LARGE_BYTES = 50_000;

/** A READY dataset of three pairs and some thousand captions without media. */
async function largeDataset(api: Api): Promise<string> {
  const id = await api.newDataset();
  const captions = Array.from({ length: CAPTIONS }, (_, i) => ({ filename: `x${i}.txt`, text: `number ${i}` }));
  for (const stem of ['a', 'b', 'c']) {
    await api.upload(id, `${stem}.jpg`, await media.jpeg());
    captions.push({ filename: `${stem}.txt`, text: `the caption of ${stem}` });
  }
  for (let i = 0; i < captions.length; i += 1000) {
    await api.json('PUT', `/${id}/captions`, { captions: captions.slice(i, i + 1000) });
  }
  return id;
}

/** Records every status that the page shows from now on. */
const recordStatuses = (page: Page) =>
  page.evaluate(() => {
    const shown = new Set<string>();
    const look = () => shown.add(/DRAFT|UPLOADING|READY|FAILED/.exec(document.body.textContent)?.[0] ?? '');
    look();
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    Object.assign(window, { shownStatuses: shown });
  });
const recordedStatuses = (page: Page) =>
  page.evaluate(() => [...(window as unknown as { shownStatuses: Set<string> }).shownStatuses]);

describeInBrowser('a page with a large dataset', (site) => {
  test('follows edits of its own and of others without an answer as large as the status', async () => {
    const { api } = site;
    const id = await largeDataset(api);
    const { page } = await site.open(`/datasets/${id}`);
    const isStatus = (request: Request) => request.url().endsWith('/status');
    const reading = new Set<Request>();
    page.on('request', (request) => isStatus(request) && reading.add(request));
    page.on('requestfinished', (request) => reading.delete(request));
    const blank = (stem: string) =>
      api.json('PUT', `/${id}/captions`, { captions: [{ filename: `${stem}.txt`, text: '' }] });
    const isBlank = (stem: string) => cardOf(page, `${stem}.jpg`).getByText('Blank caption', { exact: true }).waitFor();
    await cardOf(page, 'c.jpg').waitFor();
    await blank('c');
    await isBlank('c');
    // All captions are read once, for the tags and the statistics.
    await page.getByRole('region', { name: 'Statistics' }).waitFor();
    await soon(() => reading.size).toBe(0);

    const large: string[] = [];
    page.on('response', async (response) => {
      if (response.url().includes('/events')) return;
      if ((await response.body().catch(() => '')).length > LARGE_BYTES) large.push(response.url());
    });
    await recordStatuses(page);
    const field = page.getByLabel('Caption of a.jpg', { exact: true });
    await soon(() => field.inputValue()).toBe('the caption of a');
    for (const text of ['first', 'other']) {
      await field.fill(text);
      await field.blur();
      await cardOf(page, 'a.jpg').getByText('Saved', { exact: true }).waitFor();
      await cardOf(page, 'a.jpg').getByText('Saved', { exact: true }).waitFor({ state: 'detached' });
    }
    await blank('b');
    await isBlank('b');
    await page.getByText(`${(CAPTIONS + 3).toLocaleString('en')} captions`).waitFor();
    await api.raw('DELETE', `/${id}/files/x17.txt`);
    await page.getByText(`${(CAPTIONS + 2).toLocaleString('en')} captions`).waitFor();
    expect(large).toEqual([]);
    expect(reading.size).toBe(0);
    expect(await recordedStatuses(page)).toEqual(['READY']);
  });
});
