import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { put } from '../../harness/api.js';
import type { Visit } from '../../harness/browser.js';
import { describeInBrowser, type OpenOptions } from '../../harness/describe-in-browser.js';
import { discardServer, startServer } from '../../harness/server.js';
import { boxOf, cardOf, close, filterOf, focusedOf, isPainted, namesOf, pictureOf, soon } from './pairs-page.js';

const HOSTILE = '<img src=x onerror=alert(1)>.jpg';

describeInBrowser('the files of a dataset', (site) => {
  /** A dataset of these files. A file without bytes becomes an image, or a caption by its extension. */
  async function datasetOf(files: Record<string, Buffer | string | undefined> | readonly string[]): Promise<string> {
    const id = await site.api.newDataset();
    const entries = Array.isArray(files) ? files.map((name) => [name, undefined] as const) : Object.entries(files);
    for (const [name, bytes] of entries) {
      await site.api.upload(id, name, bytes ?? (name.endsWith('.txt') ? `the caption ${name}` : await media.jpeg()));
    }
    return id;
  }

  const open = (id: string, query = '', options?: OpenOptions): Promise<Visit> =>
    site.open(`/datasets/${id}${query}`, options);

  test('are shown as pairs, with facts and problems', async () => {
    const id = await datasetOf({
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
    const later = await media.jpeg();
    const link = await site.api.link(id, 'later.jpg', later.length);
    const visited = await open(id);
    const { page } = visited;
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
    expect(await two.getByRole('textbox').inputValue()).toBe('the caption two.txt');
    expect(await cardOf(page, 'clip.mp4').getByText('No caption').count()).toBe(0);

    await page.getByText('Waiting for 1 file').waitFor();
    await put(link, later);
    await page.getByText('Waiting for 1 file').waitFor({ state: 'detached' });
    await close(visited);
  });

  test('with HTML in their names and captions are shown as plain text', async () => {
    const id = await datasetOf({ [HOSTILE]: undefined, [HOSTILE.replace('.jpg', '.txt')]: HOSTILE });
    const visited = await open(id, `?file=${encodeURIComponent(HOSTILE)}`);
    const { page } = visited;
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
    expect(await page.locator('img[src="x"]').count()).toBe(0);
    expect(dialogs).toEqual([]);
    await close(visited);
  });

  test('have a preview if the browser can display them, and a placeholder otherwise', async () => {
    const id = await datasetOf({
      'a.bmp': media.bmp(),
      'b.tiff': await media.tiff(),
      'c.gif': await media.gif(),
      'd.webp': await media.webp(),
      'e.webm': media.clip('vp9.webm'),
      'f.mov': media.clip('quicktime.mov'),
      'g.mkv': media.clip('matroska.mkv'),
      'h.avi': media.clip('old.avi'),
      'i.wmv': media.clip('windows.wmv'),
      'j.flv': media.clip('flash.flv'),
    });
    const visited = await open(id, '', { height: 2000 });
    const { page } = visited;
    for (const name of ['a.bmp', 'b.tiff', 'c.gif', 'd.webp']) {
      await pictureOf(page, name).locator('img').waitFor();
      await soon(() => isPainted(pictureOf(page, name)), name).toBe(true);
    }
    for (const name of ['e.webm', 'f.mov']) {
      const width = () =>
        pictureOf(page, name)
          .locator('video')
          .evaluate((clip: HTMLVideoElement) => clip.videoWidth);
      await soon(width, name).toBe(160);
    }
    for (const [name, format] of [
      ['g.mkv', 'MKV'],
      ['h.avi', 'AVI'],
      ['i.wmv', 'WMV'],
      ['j.flv', 'FLV'],
    ]) {
      await pictureOf(page, name!).getByText(`No preview of ${format}`).waitFor();
    }
    await pictureOf(page, 'j.flv').click();
    await page.getByRole('dialog').getByText('Download it to see it').waitFor();
    await close(visited);
  });

  test('have a placeholder if the browser fails to display them', async () => {
    // Chromium decodes HEVC only with hardware that does.
    const id = await datasetOf({ 'a.mp4': media.clip('hevc.mp4') });
    const visited = await open(id);
    await pictureOf(visited.page, 'a.mp4').getByText('No preview of MP4').waitFor();
    await close(visited);
  });

  test('play muted while they are hovered or focused', async () => {
    const id = await datasetOf({ 'a.mp4': media.clip('moov-last.mp4'), 'b.mp4': media.clip('faststart.mp4') });
    const visited = await open(id);
    const { page } = visited;
    const stateOf = (name: string) =>
      pictureOf(page, name)
        .locator('video')
        .evaluate(({ paused, muted }: HTMLVideoElement) => ({ paused, muted }));
    await soon(() => stateOf('a.mp4')).toEqual({ paused: true, muted: true });
    await pictureOf(page, 'a.mp4').hover();
    await soon(() => stateOf('a.mp4')).toEqual({ paused: false, muted: true });
    await page.getByRole('searchbox').hover();
    await soon(() => stateOf('a.mp4')).toEqual({ paused: true, muted: true });
    await pictureOf(page, 'b.mp4').focus();
    await soon(() => stateOf('b.mp4')).toEqual({ paused: false, muted: true });
    await close(visited);
  });

  test('are filtered, with counts on the filters, as the address says', async () => {
    const id = await datasetOf({
      'a.jpg': undefined,
      'b.jpg': undefined,
      'b.txt': ' ',
      'c.txt': undefined,
      'd.jpg': 'no image',
    });
    const visited = await open(id);
    const { page } = visited;
    await soon(() => namesOf(page)).toEqual(['a.jpg', 'b.jpg', 'c.txt']);
    const filters = [
      ['All 3', ['a.jpg', 'b.jpg', 'c.txt'], ''],
      ['No caption 1', ['a.jpg'], '?filter=missing'],
      ['Blank 1', ['b.jpg'], '?filter=blank'],
      ['Caption only 1', ['c.txt'], '?filter=orphan'],
      ['Warnings 2', ['b.jpg', 'c.txt'], '?filter=warnings'],
      ['Rejected 1', [], '?filter=rejected'],
    ] as const;
    for (const [name, names, query] of filters) {
      await filterOf(page, name).click();
      await soon(() => namesOf(page), name).toEqual(names);
      expect(new URL(page.url()).search).toBe(query);
    }
    await page.goto(`${site.server.url}/datasets/${id}?filter=blank`);
    await soon(() => namesOf(page)).toEqual(['b.jpg']);
    await site.api.upload(id, 'b.txt', 'not blank any more');
    await page.getByText('No pair matches this filter.').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    await soon(() => namesOf(page)).toEqual(['a.jpg', 'b.jpg', 'c.txt']);
    await close(visited);
  });

  test('are searched by name', async () => {
    const id = await datasetOf(['dog_1.jpg', 'dog_2.jpg', 'cat_1.jpg']);
    const visited = await open(id);
    const { page } = visited;
    await page.getByRole('searchbox').fill('DOG');
    await soon(() => namesOf(page)).toEqual(['dog_1.jpg', 'dog_2.jpg']);
    await page.reload();
    await soon(() => namesOf(page)).toEqual(['dog_1.jpg', 'dog_2.jpg']);
    await page.getByRole('searchbox').fill('bird');
    await page.getByText('No filename matches “bird”.').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    await soon(() => namesOf(page)).toHaveLength(3);
    await close(visited);
  });

  test('that were rejected are listed with the reason until they are dismissed', async () => {
    const id = await datasetOf({
      'a.jpg': undefined,
      'a.txt': undefined,
      'a.png': 'no image',
      'b.jpg': '',
      'c.mp4': 'no clip',
    });
    const visited = await open(id, '?filter=rejected');
    const { page } = visited;
    await page.getByText('a.png is plain text, not an image.').waitFor();
    await page.getByRole('button', { name: 'Dismiss c.mp4' }).click();
    await page.getByText('c.mp4 is plain text').waitFor({ state: 'detached' });
    expect((await site.api.status(id)).body.counts.rejected).toBe(2);
    await page.getByRole('button', { name: 'Dismiss all 2' }).click();
    await page.getByText('No upload was rejected.').waitFor();
    await page.getByText('READY', { exact: true }).waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'a.txt']);
    await close(visited);
  });

  test('whose reservations have expired are dismissed, and good files of the same names stay', async () => {
    const impatient = await startServer({ 'caption-grace-seconds': 0, 'link-seconds': 1 });
    try {
      const own = await impatient.api();
      const id = await own.newDataset();
      await own.upload(id, 'a.jpg', await media.jpeg());
      await own.upload(id, 'a.txt', 'a caption');
      await own.link(id, 'a.jpg', 1);
      const path = `/datasets/${id}?filter=rejected`;
      const visited = await site.open(path, { at: impatient, token: own.token });
      const { page } = visited;
      await page.getByRole('button', { name: 'Dismiss a.jpg' }).click();
      await page.getByText('READY', { exact: true }).waitFor();
      expect(await own.filenames(id)).toEqual(['a.jpg', 'a.txt']);
      await close(visited);
    } finally {
      await discardServer(impatient);
    }
  });

  test('are scrolled to by a link, which centres the card', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `${String(i).padStart(2, '0')}.txt`);
    const id = await datasetOf(names);
    const visited = await open(id, '?file=41.txt');
    const { page } = visited;
    await soon(() => focusedOf(page)).toBe('Open 41.txt');
    const middle = await cardOf(page, '41.txt').evaluate((card) => {
      const { top, bottom } = card.getBoundingClientRect();
      return Math.round((top + bottom) / 2);
    });
    expect(Math.abs(middle - 400)).toBeLessThan(5);
    await page.goto(`${site.server.url}/datasets/${id}?filter=missing&file=41.txt`);
    await page.getByText('41.txt is hidden by the filter.').waitFor();
    await page.getByRole('button', { name: 'Show it' }).click();
    await soon(() => focusedOf(page)).toBe('Open 41.txt');
    await page.goto(`${site.server.url}/datasets/${id}?file=gone.jpg`);
    await page.getByText('gone.jpg is no longer in the dataset.').waitFor();
    await close(visited);
  });

  test('are asked for in an empty dataset', async () => {
    const id = await site.api.newDataset();
    const visited = await open(id);
    const { page } = visited;
    await page.getByText('Drop files or a folder anywhere on this page, or use Add files above.').waitFor();
    await site.api.upload(id, 'a.jpg', await media.jpeg());
    await cardOf(page, 'a.jpg').waitFor();
    await close(visited);
  });

  describe('in full', () => {
    test('are paged through in the order of the filter, and the focus returns to the card', async () => {
      const id = await datasetOf(['a.jpg', 'b.jpg', 'b.txt', 'c.jpg', 'd.jpg']);
      const visited = await open(id, '?filter=missing');
      const { page } = visited;
      await pictureOf(page, 'a.jpg').click();
      const viewer = page.getByRole('dialog');
      await viewer.getByRole('heading', { name: 'a.jpg' }).waitFor();
      await viewer.getByText('1 of 3').waitFor();
      await soon(() =>
        viewer.getByAltText('a.jpg').evaluate((image: HTMLImageElement) => image.naturalWidth),
      ).toBeGreaterThan(0);
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowRight');
      await viewer.getByRole('heading', { name: 'c.jpg' }).waitFor();
      await viewer.getByRole('button', { name: 'Next' }).click();
      await viewer.getByRole('heading', { name: 'd.jpg' }).waitFor();
      await page.keyboard.press('Escape');
      await viewer.waitFor({ state: 'detached' });
      await soon(() => focusedOf(page)).toBe('Open d.jpg');
      await close(visited);
    });

    test('have a caption in which arrows do not page', async () => {
      const id = await datasetOf(['a.jpg', 'a.txt', 'b.jpg', 'b.txt']);
      const visited = await open(id);
      const { page } = visited;
      await pictureOf(page, 'a.jpg').click();
      const viewer = page.getByRole('dialog');
      const caption = viewer.getByRole('textbox');
      await soon(() => caption.inputValue()).toBe('the caption a.txt');
      await caption.press('End');
      await page.keyboard.type('!');
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('Delete');
      await page.keyboard.type('?');
      expect(await caption.inputValue()).toBe('the caption a.txt?');
      await page.keyboard.press('Escape');
      await soon(() => caption.inputValue()).toBe('the caption a.txt');
      await viewer.getByRole('heading', { name: 'a.jpg' }).waitFor();
      await close(visited);
    });

    test('are shown with their facts, downloaded and selected', async () => {
      const id = await datasetOf({
        'a.mp4': media.clip('faststart.mp4'),
        'b.jpg': await media.jpeg({ width: 120, height: 80 }),
      });
      const visited = await open(id);
      const { page } = visited;
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
      await page.keyboard.press('ArrowRight');
      await viewer.getByRole('heading', { name: 'b.jpg' }).waitFor();
      await viewer.getByRole('button', { name: 'Close' }).click();
      await page.getByText('1 of 2 selected').waitFor();
      expect(await boxOf(page, 'b.jpg').isChecked()).toBe(true);
      await close(visited);
    });

    test('are deleted one by one', async () => {
      const id = await datasetOf(['a.jpg', 'a.txt', 'b.jpg', 'c.jpg']);
      const visited = await open(id);
      const { page } = visited;
      await pictureOf(page, 'b.jpg').click();
      for (const [next, button] of [
        ['c.jpg', 'Delete 1 file'],
        ['a.jpg', 'Delete 1 file'],
      ]) {
        await page.keyboard.press('Delete');
        await page.getByRole('button', { name: button! }).click();
        await page.getByRole('dialog').getByRole('heading', { name: next! }).waitFor();
      }
      await page.keyboard.press('Delete');
      await page.getByRole('dialog', { name: 'Delete 2 files?' }).getByText('1 pair, ').waitFor();
      await page.getByRole('button', { name: 'Delete 2 files' }).click();
      await page.getByText('No files yet').waitFor();
      expect(await site.api.filenames(id)).toEqual([]);
      await close(visited);
    });
  });

  describe('are selected', () => {
    const names = ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg', 'f.jpg'];
    const selectedOf = async (page: Page) => {
      const isChecked = await Promise.all(names.map((name) => boxOf(page, name).isChecked()));
      return names.filter((_, i) => isChecked[i]).join(' ');
    };

    test('by mouse, with shift and ctrl', async () => {
      const visited = await open(await datasetOf(names));
      const { page } = visited;
      await boxOf(page, 'b.jpg').click();
      await boxOf(page, 'd.jpg').click({ modifiers: ['Shift'] });
      expect(await selectedOf(page)).toBe('b.jpg c.jpg d.jpg');
      await pictureOf(page, 'c.jpg').click({ modifiers: ['Control'] });
      expect(await selectedOf(page)).toBe('b.jpg d.jpg');
      await pictureOf(page, 'f.jpg').click({ modifiers: ['Shift'] });
      expect(await selectedOf(page)).toBe('b.jpg c.jpg d.jpg e.jpg f.jpg');
      await page.getByText('5 of 6 selected').waitFor();
      await page.getByRole('button', { name: 'Clear the selection' }).click();
      expect(await selectedOf(page)).toBe('');
      await page.getByRole('checkbox', { name: 'Select all' }).click();
      await page.getByText('6 of 6 selected').waitFor();
      expect(await page.getByRole('dialog').count()).toBe(0);
      await close(visited);
    });

    test('and stay selected while other files come and go; deleted ones do not', async () => {
      const id = await datasetOf(names);
      const visited = await open(id);
      const { page } = visited;
      await boxOf(page, 'b.jpg').click();
      await boxOf(page, 'd.jpg').click();
      await site.api.upload(id, 'aa.jpg', await media.jpeg());
      await cardOf(page, 'aa.jpg').waitFor();
      expect(await selectedOf(page)).toBe('b.jpg d.jpg');
      await site.api.raw('DELETE', `/${id}/files/d.jpg`);
      await page.getByText('1 of 6 selected').waitFor();
      await site.api.upload(id, 'd.jpg', await media.jpeg());
      await cardOf(page, 'd.jpg').waitFor();
      expect(await selectedOf(page)).toBe('b.jpg');
      await close(visited);
    });

    test('and acted on only where they are shown', async () => {
      const visited = await open(await datasetOf(names));
      const { page } = visited;
      await boxOf(page, 'b.jpg').click();
      await boxOf(page, 'd.jpg').click();
      await page.getByRole('searchbox').fill('d.');
      await page.getByText('1 of 1 selected').waitFor();
      await page.getByRole('button', { name: 'Delete', exact: true }).click();
      await page.getByRole('dialog', { name: 'Delete 1 file?' }).getByText('d.jpg').waitFor();
      await close(visited);
    });
  });
});
