import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';

const panel = (page: Page, name: string) => page.getByRole('region', { name });

/** The images of a finding. */
const listed = (page: Page, label: string) => page.getByRole('list', { name: label }).getByRole('listitem');

/** Runs in the page: counts the analyses that the browser has cached for a dataset. */
function cachedAnalysesOf(datasetId: string): Promise<number> {
  return new Promise((resolve) => {
    const opening = indexedDB.open('trainyard-looks-1');
    opening.onsuccess = () => {
      const request = opening.result.transaction('datasets').objectStore('datasets').get(datasetId);
      request.onsuccess = () => resolve(request.result?.length ?? 0);
    };
  });
}

describeInBrowser('the view Fit to train?', (site) => {
  const open = (id: string) => site.open(`/datasets/${id}/fitness`);

  /** A dataset of these images, each with a caption. */
  async function datasetOf(images: Record<string, Buffer>, name?: string): Promise<string> {
    const id = await site.api.newDataset(name);
    for (const [filename, bytes] of Object.entries(images)) {
      await site.api.upload(id, filename, bytes);
      await site.api.upload(id, filename.replace(/\.\w+$/, '.txt'), `a caption of ${filename}`);
    }
    return id;
  }

  test('shows a READY dataset as fit, with its digest', async () => {
    const id = await datasetOf({ 'a.jpg': await media.jpeg() }, 'fit to go');
    const { page, browserErrors } = await open(id);
    await panel(page, 'Verdict').getByText('Fit to train').waitFor();
    const { digest = '' } = (await site.api.status(id)).body;
    await panel(page, 'Train').getByText(digest, { exact: true }).waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('lists every problem with a link to its file, and updates once they are fixed', async () => {
    const id = await datasetOf({ 'good.jpg': await media.jpeg() });
    await site.api.upload(id, 'lonely.jpg', await media.jpeg({ seed: 2 }));
    await site.api.upload(id, 'page.jpg', media.damaged.html());
    const { page, browserErrors } = await open(id);
    await panel(page, 'Verdict').getByText('Not fit to train').waitFor();
    await panel(page, 'Errors').getByText('page.jpg').first().waitFor();
    await page.getByRole('link', { name: 'Show lonely.jpg' }).click();
    await page.waitForURL(/\?file=lonely\.jpg$/);
    await page.goBack();
    await page.getByRole('link', { name: 'Show the file page.jpg' }).click();
    await page.waitForURL(/\?filter=rejected$/);
    await page.goBack();

    await site.api.upload(id, 'lonely.txt', 'found');
    await site.api.upload(id, 'page.jpg', await media.jpeg({ seed: 3 }));
    await site.api.upload(id, 'page.txt', 'a page');
    await panel(page, 'Verdict').getByText('Fit to train').waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('shows the buckets that the trainer will make at the chosen resolution', async () => {
    const id = await datasetOf({
      'square.jpg': await media.jpeg({ width: 1200, height: 1200 }),
      'wide.jpg': await media.jpeg({ width: 1600, height: 900, seed: 2 }),
      'small.jpg': await media.jpeg({ width: 300, height: 300, seed: 3 }),
    });
    const { page, browserErrors } = await open(id);
    const buckets = panel(page, 'Resolutions and buckets');
    await buckets.getByRole('button', { name: 'Buckets of images as a table' }).click();
    const table = buckets.getByRole('region', { name: 'Buckets of images, table' });
    await table.getByText('1024 × 1024').waitFor();
    await buckets.getByText('1 of 3 images has fewer pixels than 1024 × 1024').waitFor();
    await buckets.getByRole('button', { name: 'Show them' }).click();
    expect(await listed(page, 'Images below 1024').allTextContents()).toEqual(['small.jpg300 × 300']);
    await buckets.getByRole('group', { name: 'Resolution' }).getByText('512').click();
    await table.getByText('512 × 512').waitFor();
    expect(await table.getByText('1024 × 1024').count()).toBe(0);
    expect(browserErrors).toEqual([]);
  });

  test('shows the lengths of clips, and the clips that are too short for a job', async () => {
    const id = await datasetOf({ 'short.mp4': media.clip('faststart.mp4') });
    const { frames = 0 } = (await site.api.status(id)).body.files.find(({ kind }) => kind === 'video') ?? {};
    expect(frames).toBeLessThan(81);
    const { page, browserErrors } = await open(id);
    const clips = panel(page, 'Clips');
    await clips.getByText('1 of 1 clip has fewer than 81 frames').waitFor();
    await clips.getByRole('link', { name: 'short.mp4' }).waitFor();
    await clips.getByText(`${frames} frames`).waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('finds duplicates, near-duplicates, and dark, bright, blurred and tiny images', async () => {
    const picture = await media.png({ width: 640, height: 480, seed: 5 });
    const other = await media.jpeg({ width: 480, height: 640, seed: 40 });
    const id = await datasetOf({
      'original.png': picture,
      'again.png': picture,
      'smaller.jpg': await sharp(picture).resize(480).jpeg({ quality: 60 }).toBuffer(),
      'other.jpg': other,
      'dark.png': await sharp(other).rotate(90).linear(0.05, 2).png().toBuffer(),
      'bright.png': await sharp(other).flop().linear(0.05, 240).png().toBuffer(),
      'blurred.png': await sharp(other).rotate(180).blur(12).png().toBuffer(),
      'tiny.png': await media.png({ width: 64, height: 64, seed: 90 }),
    });
    const { page, browserErrors } = await open(id);
    const names = async (label: string) =>
      (await listed(page, label).locator('span.truncate').allTextContents()).toSorted();
    await page.getByText('analyzed, from thumbnails of 320 pixels').waitFor();
    expect(await names('Exact duplicates, group 1')).toEqual(['again.png', 'original.png']);
    // Only one of several images with the same bytes is analyzed.
    await expect.poll(() => names('Near-duplicates, group 1')).toEqual(['again.png', 'smaller.jpg']);
    expect(await names('Dark images')).toEqual(['dark.png']);
    expect(await names('Bright images')).toEqual(['bright.png']);
    expect(await names('Blurred images')).toContain('blurred.png');
    expect(await names('Tiny images')).toEqual(['tiny.png']);
    await page.getByRole('link', { name: 'dark.png' }).click();
    await page.waitForURL(/\?file=dark\.png$/);
    expect(browserErrors).toEqual([]);
  });

  test('caches analyses across a reload', async () => {
    const id = await datasetOf({ 'a.jpg': await media.jpeg(), 'b.jpg': await media.jpeg({ seed: 9 }) });
    const { page, context } = await open(id);
    await page.getByText('2 images analyzed').waitFor();
    await expect.poll(() => page.evaluate(cachedAnalysesOf, id)).toBe(2);
    const fetched: string[] = [];
    context.on('request', (request) => {
      if (request.resourceType() === 'fetch' && request.url().includes('/thumbnail')) fetched.push(request.url());
    });
    await page.reload();
    await page.getByText('2 images analyzed').waitFor();
    expect(fetched).toEqual([]);
  });

  test('lists pending uploads', async () => {
    const id = await datasetOf({ 'a.jpg': await media.jpeg() });
    await site.api.json('POST', `/${id}/get-upload-endpoint`, { filenameToByteSize: { 'late.jpg': 1000 } });
    const { page } = await open(id);
    await panel(page, 'Verdict').getByText('Waiting for 1 file').waitFor();
    await panel(page, 'Verdict').getByText('late.jpg').waitFor();
  });

  test('explains an empty dataset', async () => {
    const { page, browserErrors } = await open(await site.api.newDataset());
    await page.getByText('Nothing to train on yet').waitFor();
    expect(browserErrors).toEqual([]);
  });
});
