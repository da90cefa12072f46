import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { put } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { openDataset } from '../linked-datasets.js';
import {
  boxOf,
  captionOf,
  cardOf,
  filterOf,
  focusedOf,
  isPainted,
  namesOf,
  pictureOf,
  searchOf,
  soon,
} from './pairs-page.js';

const HOSTILE = '<img src=x onerror=alert(1)>.jpg';

describeInBrowser('the files of a dataset', (site) => {
  /** The page of a dataset of these files. A file without bytes becomes an image, or a caption by its extension. */
  async function openWith(files: Record<string, Buffer | string | undefined> | readonly string[], query = '') {
    const image = await media.jpeg();
    const entries = Array.isArray(files) ? files.map((name) => [name, undefined] as const) : Object.entries(files);
    const contents = entries.map(([name, bytes]) => {
      return [name, bytes ?? (name.endsWith('.txt') ? `the caption ${name}` : image)] as const;
    });
    return openDataset(site, Object.fromEntries(contents), query);
  }

  test('are shown as pairs, with facts and problems', async () => {
    const { id, page } = await openWith({
      'blank.jpg': await media.jpeg({ width: 120, height: 80 }),
      'blank.txt': ' ',
      'bare.jpg': undefined,
      'clip.mp4': media.clip('faststart.mp4'),
      'clip.txt': undefined,
      'stray.txt': undefined,
      'two.jpg': undefined,
      'two.png': await media.png(),
      'two.txt': undefined,
    });
    const blank = cardOf(page, 'blank.jpg');
    await blank.getByText('120 × 80').waitFor();
    await blank.getByText('Blank caption', { exact: true }).waitFor();
    await cardOf(page, 'bare.jpg').getByText('No caption', { exact: true }).waitFor();
    await cardOf(page, 'clip.mp4').getByText('160 × 120 · 1 s · 15 fps').waitFor();
    await cardOf(page, 'stray.txt').getByText('No media').waitFor();
    const two = cardOf(page, 'two.jpg, two.png');
    await two.getByText('2 files share this caption').waitFor();
    await two.getByRole('img', { name: 'two.jpg and two.png have the same name before the extension' }).waitFor();
    await soon(() => isPainted(pictureOf(page, 'two.jpg, two.png'))).toBe(true);
    await soon(() => two.getByRole('textbox').inputValue()).toBe('the caption two.txt');

    const later = await media.jpeg();
    const link = await site.api.link(id, 'later.jpg', later.length);
    await page.getByText('Waiting for 1 file').waitFor();
    await put(link, later);
    await page.getByText('Waiting for 1 file').waitFor({ state: 'detached' });
  });

  test('with HTML in their names and captions are shown as plain text', async () => {
    const files = { [HOSTILE]: undefined, [HOSTILE.replace('.jpg', '.txt')]: HOSTILE };
    const { page } = await openWith(files, `?file=${encodeURIComponent(HOSTILE)}`);
    const dialogs: string[] = [];
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.message());
      void dialog.dismiss();
    });
    await soon(() => cardOf(page, HOSTILE).getByRole('textbox').inputValue()).toBe(HOSTILE);
    await soon(() => isPainted(pictureOf(page, HOSTILE))).toBe(true);
    await pictureOf(page, HOSTILE).click();
    await page.getByRole('dialog').getByRole('heading', { name: HOSTILE }).waitFor();
    await page.keyboard.press('Delete');
    await page.getByRole('dialog', { name: 'Delete 2 files?' }).getByText(HOSTILE).waitFor();
    await soon(() => page.locator('img[src="x"]').count()).toBe(0);
    expect(dialogs).toEqual([]);
  });

  test('have a preview, and clips play where the pointer or the focus is', async () => {
    const { page } = await openWith({
      'a.bmp': media.bmp(),
      'b.tiff': await media.tiff(),
      'c.gif': await media.gif(),
      'd.mp4': media.clip('moov-last.mp4'),
      'g.mkv': media.clip('matroska.mkv'),
      // Chromium decodes HEVC only with hardware that does.
      'h.mp4': media.clip('hevc.mp4'),
    });
    // The first frame of a clip, also where the browser can't decode it.
    for (const name of ['a.bmp', 'b.tiff', 'c.gif', 'd.mp4', 'g.mkv', 'h.mp4']) {
      await soon(() => isPainted(pictureOf(page, name)), name).toBe(true);
    }
    const clip = pictureOf(page, 'd.mp4').locator('video');
    const stateOfClip = () => clip.evaluate(({ paused, muted }: HTMLVideoElement) => ({ paused, muted }));
    await pictureOf(page, 'd.mp4').hover();
    await soon(stateOfClip).toEqual({ paused: false, muted: true });
    await searchOf(page).hover();
    await soon(() => clip.count()).toBe(0);
    await pictureOf(page, 'd.mp4').focus();
    await soon(stateOfClip).toEqual({ paused: false, muted: true });
    await pictureOf(page, 'g.mkv').click();
    await page.getByRole('dialog').getByText('Download it to see it').waitFor();
  });

  test('are filtered, as the address says', async () => {
    const files = { 'a.jpg': undefined, 'b.jpg': undefined, 'b.txt': ' ', 'c.txt': undefined, 'd.jpg': 'no image' };
    const { id, page } = await openWith(files);
    await soon(() => namesOf(page)).toEqual(['a.jpg', 'b.jpg', 'c.txt']);
    for (const [name, names, query] of [
      ['No caption 1', ['a.jpg'], '?filter=missing'],
      ['Blank 1', ['b.jpg'], '?filter=blank'],
      ['Caption only 1', ['c.txt'], '?filter=orphan'],
      ['Warnings 2', ['b.jpg', 'c.txt'], '?filter=warnings'],
      ['Rejected 1', [], '?filter=rejected'],
      ['All 3', ['a.jpg', 'b.jpg', 'c.txt'], ''],
    ] as const) {
      await filterOf(page, name).click();
      await soon(() => namesOf(page), name).toEqual(names);
      expect(new URL(page.url()).search).toBe(query);
    }
    await filterOf(page, 'Blank 1').click();
    await soon(() => namesOf(page)).toEqual(['b.jpg']);
    await site.api.upload(id, 'b.txt', 'not blank any more');
    await page.getByText('1 of 1 written').waitFor();
    await filterOf(page, 'Blank 0').click();
    await page.getByText('No caption is blank.').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    // A filter without pairs is not offered.
    await soon(() => filterOf(page, 'Blank').count()).toBe(0);
  });

  test('are rendered where they are seen, and a caption that is edited stays when it scrolls out of view', async () => {
    const id = await site.api.newDataset();
    const names = Array.from({ length: 400 }, (_, i) => `${String(i).padStart(3, '0')}.txt`);
    const captions = names.map((filename) => ({ filename, text: `the caption ${filename}` }));
    await site.api.json('PUT', `/${id}/captions`, { captions });
    const { page } = await site.open(`/datasets/${id}?file=241.txt`);
    await soon(() => focusedOf(page)).toBe('Open 241.txt');
    const { y, height } = (await cardOf(page, '241.txt').boundingBox())!;
    expect(Math.abs(y + height / 2 - 400)).toBeLessThan(5);
    const caption = captionOf(page, '241.txt');
    await soon(() => caption.inputValue()).toBe('the caption 241.txt');
    await caption.press('End');
    await page.keyboard.type(' and more');
    await page.evaluate(() => window.scrollTo({ top: document.body.scrollHeight }));
    await cardOf(page, '399.txt').waitFor();
    expect((await namesOf(page)).length).toBeLessThan(60);
    expect(await focusedOf(page)).toBe('Caption of 241.txt');
    await page.keyboard.type('!');
    await soon(() => caption.inputValue()).toBe('the caption 241.txt and more!');
    await page.keyboard.press('Control+Enter');
    await soon(() => site.api.text(id, '241.txt')).toBe('the caption 241.txt and more!');
    await soon(() => focusedOf(page)).toBe('Caption of 242.txt');

    await page.goto(`${site.server.url}/datasets/${id}?filter=missing&file=41.txt`);
    await page.getByText('41.txt is no longer in the dataset.').waitFor();
    await page.goto(`${site.server.url}/datasets/${id}?filter=missing&file=041.txt`);
    await page.getByText('041.txt is hidden by the filter.').waitFor();
    await page.getByRole('button', { name: 'Show it' }).click();
    await soon(() => focusedOf(page)).toBe('Open 041.txt');
  });

  test('are shown in full with their facts, downloaded and selected', async () => {
    const { id, page } = await openWith({
      'a.mp4': media.clip('faststart.mp4'),
      'b.jpg': await media.jpeg({ width: 120, height: 80 }),
    });
    await pictureOf(page, 'b.jpg').click();
    const viewer = page.getByRole('dialog');
    await viewer.getByText('120 × 80').waitFor();
    await viewer.getByText('JPEG').waitFor();
    const { sha256 } = (await site.api.status(id)).body.files[1]!;
    await viewer.getByText(sha256.slice(0, 12)).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      viewer.getByRole('link', { name: 'Download b.jpg' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('b.jpg');
    await viewer.getByLabel('Select').check();
    await page.keyboard.press('ArrowLeft');
    await soon(() =>
      viewer.locator('video').evaluate((clip: HTMLVideoElement) => clip.controls && clip.videoWidth),
    ).toBe(160);
    await viewer.getByRole('button', { name: 'Close' }).click();
    await page.getByText('1 of 2 selected').waitFor();
    await soon(() => boxOf(page, 'b.jpg').isChecked()).toBe(true);
  });

  test('are selected by mouse, stay selected while others come and go, and are acted on where they are shown', async () => {
    const names = ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg', 'f.jpg'];
    const { id, page } = await openWith(names);
    const selectedOf = async (page: Page) => {
      const isChecked = await Promise.all(names.map((name) => boxOf(page, name).isChecked()));
      return names.filter((_, i) => isChecked[i]).join(' ');
    };
    await boxOf(page, 'b.jpg').click();
    await boxOf(page, 'd.jpg').click({ modifiers: ['Shift'] });
    expect(await selectedOf(page)).toBe('b.jpg c.jpg d.jpg');
    await pictureOf(page, 'c.jpg').click({ modifiers: ['Control'] });
    expect(await selectedOf(page)).toBe('b.jpg d.jpg');
    await pictureOf(page, 'f.jpg').click({ modifiers: ['Shift'] });
    expect(await selectedOf(page)).toBe('b.jpg c.jpg d.jpg e.jpg f.jpg');
    await page.getByRole('button', { name: 'Clear the selection' }).click();
    await page.getByRole('checkbox', { name: 'Select all' }).click();
    await page.getByText('6 of 6 selected').waitFor();
    await soon(() => page.getByRole('dialog').count()).toBe(0);

    await page.getByRole('button', { name: 'Clear the selection' }).click();
    await boxOf(page, 'b.jpg').click();
    await boxOf(page, 'd.jpg').click();
    await site.api.upload(id, 'aa.jpg', await media.jpeg());
    await cardOf(page, 'aa.jpg').waitFor();
    expect(await selectedOf(page)).toBe('b.jpg d.jpg');
    await site.api.raw('DELETE', `/${id}/files/d.jpg`);
    await page.getByText('1 of 6 selected').waitFor();
    await boxOf(page, 'f.jpg').click();
    await searchOf(page).fill('f.');
    await page.getByText('1 of 1 selected').waitFor();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByRole('dialog', { name: 'Delete 1 file?' }).getByText('f.jpg').waitFor();
  });
});
