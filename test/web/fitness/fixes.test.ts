import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { readingsOf, ungarbled } from '../../../web/fitness/fixes/caption-encodings.js';
import { gifFramesOf } from '../../../web/fitness/fixes/convert-image.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { openDataset } from '../linked-datasets.js';
import { onSave, panel, SAVES, soon, verdict } from '../pairs/pairs-page.js';
import { bytesOf, choose } from '../upload/drop-files.js';

/** The button that asks for the original of a rejected file. */
const originalOf = (page: Page, name: string) =>
  page.getByRole('button', { name: `Convert … the original of ${name}`, exact: true });

describe('the rules of fixes', () => {
  test('captions read in the encodings in which they are valid, the likely one first', () => {
    const first = (bytes: Buffer) => readingsOf(bytes)[0];
    expect(first(media.captionBytes('café', 'windows-1252'))).toEqual({ encoding: 'windows-1252', text: 'café' });
    expect(first(media.captionBytes('café', 'utf16'))).toEqual({ encoding: 'utf-16le', text: 'café' });
    expect(first(media.captionBytes('café', 'utf16-bare'))).toEqual({ encoding: 'utf-16le', text: 'café' });
    expect(first(media.captionBytes('café', 'utf8-bom'))).toEqual({ encoding: 'utf-8', text: 'café' });
    expect(readingsOf(Buffer.from([0x83, 0x4c, 0x83, 0x43])).map(({ text }) => text)).toContain('キイ');
  });

  test('garbled text is read as it was meant, and other text is left', () => {
    expect(ungarbled('cafÃ©')).toBe('café');
    expect(ungarbled('café')).toBeUndefined();
    expect(ungarbled('a wagon')).toBeUndefined();
    expect(ungarbled('猫')).toBeUndefined();
  });

  test('a GIF is known to be cut short at any byte, and its pictures are counted', async () => {
    expect(gifFramesOf(await media.gif())).toBe(1);
    const whole = await media.animated('gif', { width: 8, height: 8 });
    expect(gifFramesOf(whole)).toBe(2);
    for (let length = 0; length < whole.length; length++) {
      expect([length, gifFramesOf(whole.subarray(0, length))]).toEqual([length, undefined]);
    }
  });
});

describeInBrowser('problems', (site) => {
  const open = (files: Record<string, Buffer | string>) => openDataset(site, files, '/fitness');

  test('of names are solved where they are shown, and that can be undone', async () => {
    const before = {
      'a.jpg': await media.png(),
      'a.txt': 'a wagon',
      'b.jpg': await media.jpeg({ seed: 1 }),
      'b.png': await media.png({ seed: 2 }),
      'b.txt': 'a signal',
      'b.json': '{"a": "signal"}',
    };
    const { id, page } = await open(before);
    await site.api.json('PUT', `/${id}/groups/signals`, { add: ['b.jpg'] });
    await page.getByRole('button', { name: 'Rename to a.png' }).click();
    await soon(() => site.api.filenames(id)).toContain('a.png');
    await soon(() => site.api.filenames(id)).not.toContain('a.jpg');
    await page.getByText('Wrong extension').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Give each its own caption' }).click();
    const own = ['b_2.json', 'b_2.png', 'b_2.txt'];
    await soon(() => site.api.filenames(id)).toEqual(['a.png', 'a.txt', 'b.jpg', 'b.json', 'b.txt', ...own]);
    expect(await site.api.text(id, 'b_2.txt')).toBe('a signal');
    expect((await site.api.status(id)).body.groups).toMatchObject([{ name: 'signals', files: 6 }]);
    await page.getByText('Files that share a caption').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await soon(() => site.api.filenames(id)).toEqual(['a.png', 'a.txt', 'b.jpg', 'b.json', 'b.png', 'b.txt']);
  });

  test('of captions are solved where they are shown: encodings after a look at the text, and orphans', async () => {
    const { id, page } = await open({
      'a.jpg': await media.jpeg(),
      'a.txt': 'cafÃ© â€œat duskâ€\u009d',
      'b.jpg': await media.jpeg({ seed: 1 }),
      'b.txt': media.captionBytes('café', 'windows-1252'),
      'x.txt': 'one',
      'y.txt': 'two',
    });
    await page.getByRole('button', { name: 'Convert a.txt' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('café “at dusk”').waitFor();
    // As behind a proxy that compresses.
    await page.route(/\/files\/a\.txt$/, async (route) => {
      const response = await route.fetch();
      return route.fulfill({ response, headers: { ...response.headers(), etag: `W/${response.headers().etag}` } });
    });
    const theirs = 'cafÃ© theirs';
    await onSave(page, async (route, count) => {
      if (count === 1) await site.api.upload(id, 'a.txt', theirs);
      return route.continue();
    });
    const answered = page.waitForResponse(SAVES);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await answered;
    expect(await site.api.text(id, 'a.txt')).toBe(theirs);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Convert a.txt' }).click();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('a.txt saved as UTF-8.').waitFor();
    expect(await site.api.text(id, 'a.txt')).toBe('café theirs');

    const original = bytesOf('b.txt', media.captionBytes('café', 'windows-1252'));
    await choose(originalOf(page, 'b.txt'), original);
    await dialog.getByLabel('Written in').selectOption('windows-1251');
    await dialog.getByText('cafй', { exact: true }).waitFor();
    await dialog.getByLabel('Written in').selectOption('windows-1252');
    // Meanwhile, another file is listed above it.
    await site.api.upload(id, 'a2.txt', media.captionBytes('thé', 'windows-1252'));
    await originalOf(page, 'a2.txt').waitFor();
    // Then an upload begins, during which the service lists no errors.
    await site.api.links(id, { 'b.txt': 5 });
    await page.getByText('Not complete yet').waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await soon(() => site.api.text(id, 'b.txt')).toBe('café');
    await page.getByRole('button', { name: 'Dismiss a2.txt' }).click();

    await page.getByRole('button', { name: 'Delete all 2' }).click();
    await page.getByRole('heading', { name: 'Fit to train', exact: true }).waitFor();
    await soon(() => site.api.filenames(id)).toEqual(['a.jpg', 'a.txt', 'b.jpg', 'b.txt']);
  });
});

const converted = (page: Page, text: string) => panel(page, 'Last change').getByText(text).waitFor();

/** Red, green and blue of all pixels. */
const pixelsOf = (bytes: Uint8Array) => sharp(bytes).removeAlpha().toColourspace('srgb').raw().toBuffer();

describeInBrowser('converting images that the trainer does not read', (site) => {
  const storedBytes = async (id: string, name: string) =>
    new Uint8Array(await (await site.api.raw('GET', `/${id}/files/${name}`)).arrayBuffer());

  /** A dataset of these files, and its view "Fit to train?". */
  const datasetOf = (files: Record<string, Buffer | string>) => openDataset(site, files, '/fitness');

  test('stored ones become PNGs of the same pixels under the same stem, and that can be undone', async () => {
    const gif = await sharp(await media.png({ width: 120, height: 80 }))
      .gif()
      .toBuffer();
    const [bmp, avif] = [media.bmp({ width: 33, height: 21 }), await media.avif({ width: 64, height: 48 })];
    const captions = { 'a.txt': 'a wagon', 'b.txt': 'a depot', 'c.txt': 'a signal' };
    const { id, page } = await datasetOf({ 'a.gif': gif, 'b.bmp': bmp, 'c.avif': avif, ...captions });
    await verdict(page, 'Not fit to train');
    await panel(page, 'Errors').getByText('Convert the images below').waitFor();
    await page.getByRole('button', { name: 'Convert all 3' }).click();
    await verdict(page, 'Fit to train');
    await converted(page, '3 images converted.');
    expect(await site.api.filenames(id)).toEqual(['a.png', 'a.txt', 'b.png', 'b.txt', 'c.png', 'c.txt']);
    for (const [name, original] of [
      ['a.png', gif],
      ['b.png', bmp],
    ] as const) {
      const expected = name === 'b.png' ? Buffer.alloc(33 * 21 * 3, 0x7f) : await pixelsOf(original);
      expect((await pixelsOf(await storedBytes(id, name))).equals(expected)).toBe(true);
    }
    const [read, expected] = await Promise.all([pixelsOf(await storedBytes(id, 'c.png')), pixelsOf(avif)]);
    expect(read).toHaveLength(64 * 48 * 3);
    // Decoders round differently when they compute red, green and blue.
    expect(Math.max(...read.map((value, at) => Math.abs(value - expected[at]!)))).toBeLessThan(12);
    await panel(page, 'Last change').getByRole('button', { name: 'Undo' }).click();
    await verdict(page, 'Not fit to train');
    expect((await storedBytes(id, 'a.gif')).length).toBe(gif.length);
    expect(await site.api.filenames(id)).toEqual(['a.gif', 'a.txt', 'b.bmp', 'b.txt', 'c.avif', 'c.txt']);
  });

  test('rejected ones are made of the originals that the user chooses, and what the trainer reads already keeps its bytes', async () => {
    const [avif, jpeg] = [await media.avif(), await media.jpeg({ orientation: 6 })];
    const { id, page } = await datasetOf({
      ...{ 'a.jpg': avif, 'b.png': await media.gif({ seed: 2 }), 'c.webp': await media.bmp() },
      ...{ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' },
    });
    const button = page.getByRole('button', { name: /Choose and convert the originals of all/ });
    await choose(button, bytesOf('x.jpg', jpeg));
    await page.getByText('None of the chosen files has the name').waitFor();
    await choose(button, bytesOf('a.jpg', avif), bytesOf('b.jpg', jpeg), bytesOf('other.jpg', jpeg));
    await converted(page, '2 images converted.');
    expect(await site.api.filenames(id)).toEqual(['a.png', 'a.txt', 'b.jpg', 'b.txt', 'c.txt']);
    expect(Buffer.from(await storedBytes(id, 'b.jpg')).equals(jpeg)).toBe(true);
    await choose(originalOf(page, 'c.webp'), bytesOf('from the camera.bmp', media.bmp()));
    await verdict(page, 'Fit to train');
  });

  test('one that another client changed meanwhile stays', async () => {
    const { id, page } = await datasetOf({ 'a.bmp': media.bmp(), 'a.txt': 'a wagon' });
    const change = () => site.api.upload(id, 'a.bmp', media.bmp({ width: 9 }));
    await page.route(/\/files$/, (route) => change().then(() => route.continue()));
    await page.getByRole('button', { name: 'Convert a.bmp' }).click();
    await page.getByText('a.bmp was changed meanwhile, and stays beside a.png.').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.bmp', 'a.png', 'a.txt']);
  });

  test('what would need a guess or lose colours is left alone', { tags: ['long'] }, async () => {
    const transparent = await sharp(await media.png({ alpha: true }))
      .gif()
      .toBuffer();
    const { id, page } = await datasetOf({
      ...{ 'a.gif': await media.animated('gif'), 'a.txt': 'a', 'b.gif': transparent, 'b.txt': 'b' },
      ...{ 'c.jpg': await media.animated('gif'), 'c.txt': 'c', 'd.bmp': media.bmp(), 'd.webp': await media.webp() },
    });
    await page.getByRole('button', { name: 'Convert b.gif' }).click();
    await page.getByText('b.gif has transparent pixels').waitFor();
    await expect.poll(() => page.getByRole('button', { name: 'Convert a.gif' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Convert d.bmp' }).click();
    await page.getByText('d.bmp is not converted to d.png, since there is d.webp already.').waitFor();
    await choose(originalOf(page, 'c.jpg'), bytesOf('c.bmp', media.bmp().subarray(0, -400)));
    await page.getByText('c.bmp is damaged').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.gif', 'a.txt', 'b.gif', 'b.txt', 'c.txt', 'd.bmp', 'd.webp']);
  });
});
