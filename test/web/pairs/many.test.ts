import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Filled, fillCatalog } from '../../../bench/fill.js';
import { fillBlobs } from '../../../bench/fill-blobs.js';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { startBrowser, type Visit, visit, whyNoBrowser } from '../../harness/browser.js';
import { discardServer, startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { boxOf, cardOf, focusedOf, isPainted, namesOf, pictureOf, scrollOf, soon } from './pairs-page.js';

const leftOut = whyNoBrowser();
const PAIRS = 10_000;

describe.skipIf(leftOut !== undefined)(`ten thousand pairs${leftOut ? `, left out: ${leftOut}` : ''}`, () => {
  let browser: Browser;
  let server: TestServer;
  let filled: Filled;
  let id: string;
  let api: Api;
  beforeAll(async () => {
    const dataFolder = await temporaryFolder();
    [filled] = (await fillCatalog({ dataFolder }, [
      { account: 'default', datasets: 1, images: PAIRS, captions: PAIRS },
    ])) as [Filled];
    await fillBlobs(dataFolder, [await media.jpeg({ seed: 1 }), await media.jpeg({ seed: 2 })]);
    [browser, server] = await Promise.all([startBrowser(), startServer({}, { dataFolder })]);
    id = filled.datasetIds[0]!;
    api = new Api(server.url, filled.token);
  });
  afterAll(async () => {
    await browser?.close();
    await discardServer(server);
  });

  const open = (query = ''): Promise<Visit> =>
    visit(browser, server, { token: filled.token, path: `/datasets/${id}${query}` });

  async function close({ context, complaints }: Visit): Promise<void> {
    expect(complaints).toEqual([]);
    await context.close();
  }

  /** Painted in full, as people see it. */
  async function firstInSight(page: Page): Promise<string> {
    const name = await page
      .getByRole('article')
      .evaluateAll(
        (cards) => cards.find((card) => card.getBoundingClientRect().top > 40)?.getAttribute('aria-label') ?? '',
      );
    await soon(() => isPainted(pictureOf(page, name))).toBe(true);
    return name;
  }

  test('are there from the first to the last, and few of them on the page at a time', async () => {
    const there = await open();
    const { page } = there;
    await page.getByText('10,000 pairs', { exact: true }).waitFor();
    await firstInSight(page);
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
    await close(there);
  });

  test('keep the card that is written in while it is scrolled away', async () => {
    const there = await open();
    const { page } = there;
    const caption = cardOf(page, 'image_1.jpg').getByRole('textbox');
    await soon(() => caption.inputValue()).toContain('a signal beside the track');
    await caption.press('End');
    await page.keyboard.type(' and more');
    await page.evaluate(() => window.scrollTo({ top: document.body.scrollHeight / 2 }));
    await firstInSight(page);
    expect(await focusedOf(page)).toBe('Caption of image_1.jpg');
    await page.keyboard.type('!');
    expect(await caption.inputValue()).toMatch(/ and more!$/);
    await close(there);
  });

  test('are selected from here to there, and deleted with the page where it is', async () => {
    const there = await open('?file=image_5000.jpg');
    const { page } = there;
    await soon(() => focusedOf(page)).toBe('Open image_5000.jpg');
    await boxOf(page, 'image_5000.jpg').click();
    // Two rows of four are a screen.
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
    expect((await api.status(id)).body.counts.images).toBe(9700);
    await close(there);
  });

  test('stay where they are while more arrive', async () => {
    const there = await open('?file=image_70.jpg');
    const { page } = there;
    await soon(() => focusedOf(page)).toBe('Open image_70.jpg');
    await soon(() => isPainted(pictureOf(page, 'image_70.jpg'))).toBe(true);
    const image = await pictureOf(page, 'image_70.jpg').locator('img').elementHandle();
    const placeOf = () => cardOf(page, 'image_70.jpg').evaluate((card) => card.getBoundingClientRect().toJSON());
    const place = await placeOf();
    const { images } = (await api.status(id)).body.counts;
    await api.link(id, 'never.jpg', 1);
    await page.getByText('UPLOADING', { exact: true }).waitFor({ state: 'attached' });
    const picture = await media.jpeg();
    for (let i = 0; i < 10; i++) await api.upload(id, `z${i}.jpg`, picture);
    await page.getByText(`${(images + 10).toLocaleString('en')} pairs`, { exact: true }).waitFor();
    expect(await placeOf()).toEqual(place);
    expect(await focusedOf(page)).toBe('Open image_70.jpg');
    expect(await image?.evaluate((element: HTMLImageElement) => element.isConnected && element.complete)).toBe(true);
    await close(there);
  });
});
