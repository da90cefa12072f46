import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { eventually } from '../../harness/server.js';
import { captionedImages, captionsOf, datasetWith, openDataset } from '../linked-datasets.js';
import { boxOf, cardOf, focusedOf, isPainted, namesOf, pictureOf, scrollOf, soon } from './pairs-page.js';

/** More than fit on a screen with four cards per row. */
const NAMES = Array.from({ length: 20 }, (_, i) => `p${String(i).padStart(2, '0')}.jpg`);

describeInBrowser('changes to files', (site) => {
  /** The page of a dataset of pairs of these names. */
  async function openWith(names: readonly string[]) {
    const picture = await media.jpeg();
    const captions = names.map((name) => [name.replace('.jpg', '.txt'), `the caption of ${name}`]);
    const images = names.map((name) => [name, picture]);
    // Wide enough for four cards between the tags and the inspector.
    const opened = await openDataset(site, Object.fromEntries([...images, ...captions]), '', { width: 1700 });
    await cardOf(opened.page, names[0]!).waitFor();
    return { picture, ...opened };
  }

  async function tabTo(page: Page, label: string): Promise<void> {
    await eventually(async () => {
      await page.keyboard.press('Tab');
      return (await focusedOf(page)) === label ? true : undefined;
    });
  }

  test('are made by keyboard alone', async () => {
    const { page, id } = await openWith(NAMES.slice(0, 10));
    await tabTo(page, 'Open p00.jpg');
    for (const [key, name] of [
      ['ArrowDown', 'p04.jpg'],
      ['End', 'p09.jpg'],
      ['Home', 'p00.jpg'],
      ['ArrowRight', 'p01.jpg'],
    ] as const) {
      await page.keyboard.press(key);
      await soon(() => focusedOf(page), key).toBe(`Open ${name}`);
      // Below the bars, which stay in view.
      const { y, height } = (await pictureOf(page, name).boundingBox())!;
      expect([y >= 92, y + height <= 800]).toEqual([true, true]);
    }

    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByRole('heading', { name: 'p01.jpg' }).waitFor();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Escape');
    await soon(() => focusedOf(page)).toBe('Open p02.jpg');

    await page.keyboard.press('Space');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Shift+Space');
    await page.getByText('5 of 10 selected').waitFor();
    await page.keyboard.press('Shift+ArrowRight');
    await page.getByText('6 of 10 selected').waitFor();
    await page.keyboard.press('Shift+ArrowLeft');
    await page.keyboard.press('Control+a');
    await page.getByText('10 of 10 selected').waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('10 pairs', { exact: true }).waitFor();

    await page.keyboard.press('Delete');
    await page.getByRole('dialog', { name: 'Delete 2 files?' }).getByText('1 pair, ').waitFor();
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await soon(() => focusedOf(page)).toBe('Open p07.jpg');
    await soon(() => site.api.filenames(id)).not.toContain('p06.jpg');

    // From a card, E leads to its caption, and Escape back.
    await page.keyboard.press('e');
    await soon(() => focusedOf(page)).toBe('Caption of p07.jpg');
    await page.keyboard.press('Escape');
    await soon(() => focusedOf(page)).toBe('Open p07.jpg');

    // Words that are being written when their pair goes are no keys.
    await page.keyboard.press('e');
    const gone = cardOf(page, 'p07.jpg').waitFor({ state: 'detached' });
    let isWriting = true;
    void gone.finally(() => (isWriting = false));
    const written = (async () => {
      while (isWriting) await page.keyboard.type('e');
    })();
    await site.api.json('DELETE', `/${id}/files`, { filenames: ['p07.jpg', 'p07.txt'] });
    await gone;
    await written;
    await page.keyboard.type('e tree');
    expect(await focusedOf(page)).toBe('Open p08.jpg');
  });

  test('of this page and of other clients appear at once, and neither move nor redraw the other cards', async () => {
    const { page, context, id, picture } = await openWith(NAMES);
    await pictureOf(page, 'p13.jpg').focus();
    await pictureOf(page, 'p13.jpg').scrollIntoViewIfNeeded();
    await soon(() => isPainted(pictureOf(page, 'p13.jpg'))).toBe(true);
    const image = await pictureOf(page, 'p13.jpg').locator('img').elementHandle();
    const placeOf = () => cardOf(page, 'p13.jpg').evaluate((card) => card.getBoundingClientRect().toJSON());
    const place = await placeOf();
    // A row before it, too.
    for (const name of ['r0', 'r1', 'a0', 'a1', 'a2', 'a3']) await site.api.upload(id, `${name}.jpg`, picture);
    await page.getByText('26 pairs', { exact: true }).waitFor();
    expect(await placeOf()).toEqual(place);
    expect(await focusedOf(page)).toBe('Open p13.jpg');
    expect(await image?.evaluate((element: HTMLImageElement) => element.isConnected && element.naturalWidth > 0)).toBe(
      true,
    );
    const scroll = await scrollOf(page);
    await site.api.raw('DELETE', `/${id}/files/p13.jpg`);
    await site.api.raw('DELETE', `/${id}/files/p13.txt`);
    await cardOf(page, 'p13.jpg').waitFor({ state: 'detached' });
    await soon(() => focusedOf(page)).toBe('Open p14.jpg');
    expect(await scrollOf(page)).toBe(scroll);
    const before = await pictureOf(page, 'p14.jpg').locator('img').getAttribute('src');
    await site.api.upload(id, 'p14.jpg', await media.jpeg({ seed: 7 }));
    await soon(() => pictureOf(page, 'p14.jpg').locator('img').getAttribute('src')).not.toBe(before);
    await soon(() => isPainted(pictureOf(page, 'p14.jpg'))).toBe(true);

    const grid = await page.getByRole('list', { name: 'Pairs' }).elementHandle();
    await boxOf(page, 'p12.jpg').click();
    await boxOf(page, 'p15.jpg').click();
    const scrolled = await scrollOf(page);
    expect(scrolled).toBeGreaterThan(0);
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    const question = page.getByRole('dialog', { name: 'Delete 4 files?' });
    await question.getByText('2 pairs, ').waitFor();
    await question.getByText('The history keeps them').waitFor();
    await question.getByText('p15.txt').waitFor();
    await question.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('2 of 25 selected').waitFor();
    await page.keyboard.press('Delete');
    await context.setOffline(true);
    await question.getByRole('button', { name: 'Delete 4 files' }).click();
    const alert = page.getByRole('alert').filter({ hasText: '4 files could not be deleted.' });
    await alert.getByText('p15.txt').waitFor();
    await alert.getByText('Could not reach the service.').first().waitFor();
    await context.setOffline(false);
    // A file that another client has deleted counts as deleted.
    await site.api.raw('DELETE', `/${id}/files/p12.txt`);
    await site.api.upload(id, 'p15.txt', 'a caption that was not asked about');
    await alert.getByRole('button', { name: 'Try again' }).click();
    const changed = page.getByRole('alert').filter({ hasText: '1 file could not be deleted.' });
    await changed.getByText('p15.txt: It was changed after you selected it.').waitFor();
    await changed.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('23 pairs', { exact: true }).waitFor();
    await changed.waitFor({ state: 'detached' });
    expect(await namesOf(page)).not.toContain('p12.jpg');
    expect(await grid?.evaluate((list) => list.isConnected)).toBe(true);
    expect((await site.api.filenames(id)).filter((name) => /^p1[25]/.test(name))).toEqual([]);
  });

  test('of selected pairs: they are copied to another dataset beside a pair that has the name, or moved once they arrived, and undone', async () => {
    const { api, open } = await site.newAccount();
    const pairs = await captionedImages({ a: 'snow', b: 'rain', c: 'fog' });
    const from = await datasetWith(api, pairs, { name: 'the evening' });
    const to = await datasetWith(api, await captionedImages({ a: 'a different snow' }), { name: 'chosen' });
    const { page } = await open(`/datasets/${from}`);
    const choose = async (key: string, title: string) => {
      for (const name of ['a.jpg', 'b.jpg']) await boxOf(page, name).check();
      await page.keyboard.press(key);
      const dialog = page.getByRole('dialog', { name: title });
      await dialog.getByRole('combobox').fill('chos');
      await dialog.getByRole('option', { name: 'chosen', selected: true }).waitFor();
      await page.keyboard.press('Enter');
      return dialog;
    };
    const copied = await choose('y', 'Copy 2 pairs to');
    await copied.getByText('2 pairs copied to chosen, 1 with another name.').waitFor();
    const arrived = { 'a.txt': 'a different snow', 'the_evening_a.txt': 'snow', 'b.txt': 'rain' };
    expect(await captionsOf(api, to)).toEqual(arrived);
    expect(await captionsOf(api, from)).toEqual({ 'a.txt': 'snow', 'b.txt': 'rain', 'c.txt': 'fog' });
    await copied.getByRole('link', { name: 'chosen' }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await soon(() => captionsOf(api, to)).toEqual({ 'a.txt': 'a different snow' });

    await page.goto(`${site.server.url}/datasets/${from}`);
    const lost = { status: 404, json: { error_code: 404000, error_message: 'It is gone.' } };
    await page.route(`**/${from}/files/b.jpg`, (route) => route.fulfill(lost));
    const moved = await choose('m', 'Move 2 pairs to');
    await moved.getByText('1 pair moved to chosen, 1 with another name.').waitFor();
    await moved.getByRole('alert').getByText('b.jpg: It is gone.').waitFor();
    await moved.getByRole('button', { name: 'Close' }).click();
    await cardOf(page, 'a.jpg').waitFor({ state: 'detached' });
    expect(await captionsOf(api, to)).toEqual(arrived);
    expect(await captionsOf(api, from)).toEqual({ 'b.txt': 'rain', 'c.txt': 'fog' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await cardOf(page, 'a.jpg').waitFor();
  });

  test('of selected pairs: a copy that is stopped leaves no dataset that waits for files', async () => {
    const { api, open } = await site.newAccount();
    const from = await datasetWith(api, await captionedImages({ a: 'snow', b: 'rain' }));
    const to = await datasetWith(api, await captionedImages({ c: 'fog' }), { name: 'chosen' });
    const { page } = await open(`/datasets/${from}`);
    const held: unknown[] = [];
    await page.route('**/files/b.jpg', (route) => void held.push(route));
    for (const name of ['a.jpg', 'b.jpg']) await boxOf(page, name).check();
    await page.keyboard.press('y');
    await page.getByRole('option', { name: 'chosen' }).click();
    await soon(async () => held.length === 1 && Object.keys(await captionsOf(api, to))).toEqual([
      'a.txt',
      'b.txt',
      'c.txt',
    ]);
    await page.getByRole('button', { name: 'Stop' }).click();
    await soon(async () => (await api.status(to)).body.status).toBe('READY');
  });

  test('of selected pairs: two that would get one name when they are moved both arrive', async () => {
    const { api, open } = await site.newAccount();
    const pairs = await captionedImages({ a: 'snow', b: 'fog', cat_a: 'rain' });
    const from = await datasetWith(api, pairs, { name: 'cat' });
    const to = await datasetWith(api, await captionedImages({ a: 'a different snow' }), { name: 'chosen' });
    const { page } = await open(`/datasets/${from}`);
    for (const name of ['a.jpg', 'cat_a.jpg']) await boxOf(page, name).check();
    await page.keyboard.press('m');
    await page.getByRole('option', { name: 'chosen' }).click();
    await page.getByText('2 pairs moved to chosen, 1 with another name.').waitFor();
    expect(await captionsOf(api, to)).toEqual({
      'a.txt': 'a different snow',
      'cat_a_2.txt': 'snow',
      'cat_a.txt': 'rain',
    });
  });
});
