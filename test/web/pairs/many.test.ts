import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { type Filled, fillCatalog } from '../../../bench/fill.js';
import { fillBlobs } from '../../../bench/fill-blobs.js';
import * as media from '../../fixtures/media.js';
import type { Visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { boxOf, cardOf, close, focusedOf, isPainted, namesOf, pictureOf, scrollOf, soon } from './pairs-page.js';

const PAIRS = 10_000;

let id: string;

async function start(): Promise<TestServer> {
  const dataFolder = await temporaryFolder();
  const [filled] = (await fillCatalog({ dataFolder }, [
    { account: 'default', datasets: 1, images: PAIRS, captions: PAIRS },
  ])) as [Filled];
  await fillBlobs(dataFolder, [await media.jpeg({ seed: 1 }), await media.jpeg({ seed: 2 })]);
  id = filled.datasetIds[0]!;
  return startServer({}, { dataFolder });
}

describeInBrowser('ten thousand pairs', { start }, (site) => {
  const open = (query = ''): Promise<Visit> => site.open(`/datasets/${id}${query}`);

  /** Waits until the first card in the viewport is painted. */
  async function firstPainted(page: Page): Promise<void> {
    const nameOfFirst = () =>
      page
        .getByRole('article')
        .evaluateAll((cards) =>
          cards.find((card) => card.getBoundingClientRect().top > 40)?.getAttribute('aria-label'),
        );
    await soon(async () => {
      const name = await nameOfFirst();
      return typeof name === 'string' && (await isPainted(pictureOf(page, name)));
    }).toBe(true);
  }

  test('can all be reached, while few are rendered at a time', async () => {
    const visited = await open();
    const { page } = visited;
    await page.getByText('10,000 pairs', { exact: true }).waitFor();
    await firstPainted(page);
    await pictureOf(page, 'image_0.jpg').focus();
    await page.keyboard.press('End');
    await soon(() => focusedOf(page)).toBe('Open image_9999.jpg');
    await soon(() => isPainted(pictureOf(page, 'image_9999.jpg'))).toBe(true);
    await soon(() => cardOf(page, 'image_9999.jpg').getByRole('textbox').inputValue()).toContain(
      'a signal beside the track',
    );
    expect((await namesOf(page)).length).toBeLessThan(60);
    await page.keyboard.press('Home');
    await soon(() => focusedOf(page)).toBe('Open image_0.jpg');
    await page.getByRole('searchbox').fill('_77');
    await page.getByText('111 pairs', { exact: true }).waitFor();
    await close(visited);
  });

  test('keep the card that is being edited when it scrolls out of view', async () => {
    const visited = await open();
    const { page } = visited;
    const caption = cardOf(page, 'image_1.jpg').getByRole('textbox');
    await soon(() => caption.inputValue()).toContain('a signal beside the track');
    await caption.press('End');
    await page.keyboard.type(' and more');
    await page.evaluate(() => window.scrollTo({ top: document.body.scrollHeight / 2 }));
    await firstPainted(page);
    expect(await focusedOf(page)).toBe('Caption of image_1.jpg');
    await page.keyboard.type('!');
    expect(await caption.inputValue()).toMatch(/ and more!$/);
    await close(visited);
  });

  test('are selected as a range, and deleted without scrolling the page', async () => {
    const visited = await open('?file=image_5000.jpg');
    const { page } = visited;
    await soon(() => focusedOf(page)).toBe('Open image_5000.jpg');
    await boxOf(page, 'image_5000.jpg').click();
    // A screen shows two rows of four.
    for (let i = 0; i < 37; i++) await page.keyboard.press('PageDown');
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
    expect(await scrollOf(page)).toBe(scroll);
    expect(await grid?.evaluate((list) => list.isConnected)).toBe(true);
    expect((await site.api.status(id)).body.counts.images).toBe(9700);
    await close(visited);
  });

  test('stay in place while more arrive', async () => {
    const visited = await open('?file=image_70.jpg');
    const { page } = visited;
    await soon(() => focusedOf(page)).toBe('Open image_70.jpg');
    await soon(() => isPainted(pictureOf(page, 'image_70.jpg'))).toBe(true);
    const image = await pictureOf(page, 'image_70.jpg').locator('img').elementHandle();
    const placeOf = () => cardOf(page, 'image_70.jpg').evaluate((card) => card.getBoundingClientRect().toJSON());
    const place = await placeOf();
    const { images } = (await site.api.status(id)).body.counts;
    await site.api.link(id, 'never.jpg', 1);
    await page.getByText('UPLOADING', { exact: true }).waitFor({ state: 'attached' });
    const picture = await media.jpeg();
    for (let i = 0; i < 10; i++) await site.api.upload(id, `z${i}.jpg`, picture);
    await page.getByText(`${(images + 10).toLocaleString('en')} pairs`, { exact: true }).waitFor();
    expect(await placeOf()).toEqual(place);
    expect(await focusedOf(page)).toBe('Open image_70.jpg');
    expect(await image?.evaluate((element: HTMLImageElement) => element.isConnected && element.complete)).toBe(true);
    await close(visited);
  });
});
