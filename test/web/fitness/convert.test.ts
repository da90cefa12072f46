import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetWith } from '../linked-datasets.js';

const panel = (page: Page, name: string) => page.getByRole('region', { name });
const verdict = (page: Page, name: string) =>
  panel(page, 'Verdict').getByRole('heading', { name, exact: true }).waitFor();
const converted = (page: Page, text: string) => panel(page, 'Last change').getByText(text).waitFor();

/** Red, green and blue of all pixels. */
const pixelsOf = (bytes: Uint8Array) => sharp(bytes).removeAlpha().toColourspace('srgb').raw().toBuffer();

describeInBrowser('converting images that the trainer does not read', (site) => {
  const bytesOf = async (id: string, name: string) =>
    new Uint8Array(await (await site.api.raw('GET', `/${id}/files/${name}`)).arrayBuffer());

  /** A dataset of these files, and its view "Fit to train?". */
  async function datasetOf(files: Record<string, Buffer | string>) {
    const id = await datasetWith(site.api, files);
    return { id, ...(await site.open(`/datasets/${id}/fitness`)) };
  }

  /** Clicks a button that opens the file chooser, and chooses these files. */
  async function choose(page: Page, button: string | RegExp, files: Readonly<Record<string, Buffer>>) {
    const choosing = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: button }).click();
    const chosen = Object.entries(files).map(([name, buffer]) => ({ name, mimeType: '', buffer }));
    await (await choosing).setFiles(chosen);
  }

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
      expect((await pixelsOf(await bytesOf(id, name))).equals(expected)).toBe(true);
    }
    const [read, expected] = await Promise.all([pixelsOf(await bytesOf(id, 'c.png')), pixelsOf(avif)]);
    expect(read).toHaveLength(64 * 48 * 3);
    // Decoders round differently when they compute red, green and blue.
    expect(Math.max(...read.map((value, at) => Math.abs(value - expected[at]!)))).toBeLessThan(12);
    await panel(page, 'Last change').getByRole('button', { name: 'Undo' }).click();
    await verdict(page, 'Not fit to train');
    expect((await bytesOf(id, 'a.gif')).length).toBe(gif.length);
    expect(await site.api.filenames(id)).toEqual(['a.gif', 'a.txt', 'b.bmp', 'b.txt', 'c.avif', 'c.txt']);
  });

  test('rejected ones are made of the originals that the user chooses, and what the trainer reads already keeps its bytes', async () => {
    const [avif, jpeg] = [await media.avif(), await media.jpeg({ orientation: 6 })];
    const { id, page } = await datasetOf({
      ...{ 'a.jpg': avif, 'b.png': await media.gif({ seed: 2 }), 'c.webp': await media.bmp() },
      ...{ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' },
    });
    const button = /Choose and convert the originals of all/;
    await choose(page, button, { 'x.jpg': jpeg });
    await page.getByText('None of the chosen files has the name').waitFor();
    await choose(page, button, { 'a.jpg': avif, 'b.jpg': jpeg, 'other.jpg': jpeg });
    await converted(page, '2 images converted.');
    expect(await site.api.filenames(id)).toEqual(['a.png', 'a.txt', 'b.jpg', 'b.txt', 'c.txt']);
    expect(Buffer.from(await bytesOf(id, 'b.jpg')).equals(jpeg)).toBe(true);
    await choose(page, 'Convert … the original of c.webp', { 'from the camera.bmp': media.bmp() });
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
    await choose(page, 'Convert … the original of c.jpg', { 'c.bmp': media.bmp().subarray(0, -400) });
    await page.getByText('c.bmp is damaged').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.gif', 'a.txt', 'b.gif', 'b.txt', 'c.txt', 'd.bmp', 'd.webp']);
  });
});
