import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { counterpartNameOf } from '../../../web/fitness/pairs/counterpart-file.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { controlsOf, datasetWith, linkDatasets, openDataset, stemsTo, targetsOf } from '../linked-datasets.js';
import { focusedOf, panel, verdict } from '../pairs/pairs-page.js';
import { bytesOf, choose, sendsOf, transferOf } from '../upload/drop-files.js';

/** The images of a finding. */
const listed = (page: Page, label: string) => page.getByRole('list', { name: label }).getByRole('listitem');

describeInBrowser('the view Fit to train?', (site) => {
  const openWith = (files: Record<string, Buffer | string>) => openDataset(site, files, '/fitness');

  test('lists every problem with a link to its file, and updates once they are fixed', async () => {
    const { id, page } = await openWith({
      ...{ 'good.jpg': await media.jpeg(), 'good.txt': 'a wagon' },
      ...{ 'lonely.jpg': await media.jpeg({ seed: 2 }), 'page.jpg': media.damaged.html() },
    });
    await verdict(page, 'Not fit to train');
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
    await verdict(page, 'Fit to train');
    const { digest = '' } = (await site.api.status(id)).body;
    await page.getByRole('link', { name: 'Train', exact: true }).click();
    await panel(page, 'Train').getByText(digest, { exact: true }).waitFor();
  });

  test('shows the buckets that the trainer will make at the chosen resolution, and too short clips', async () => {
    const { page } = await openWith({
      'square.jpg': await media.jpeg({ width: 1200, height: 1200 }),
      'wide.jpg': await media.jpeg({ width: 1600, height: 900, seed: 2 }),
      'small.jpg': await media.jpeg({ width: 300, height: 300, seed: 3 }),
      'short.mp4': media.clip('faststart.mp4'),
    });
    const buckets = panel(page, 'Resolutions and buckets');
    await buckets.getByRole('button', { name: 'Buckets of images as a table' }).click();
    const table = buckets.getByRole('region', { name: 'Buckets of images, table' });
    await table.getByText('1024 × 1024').waitFor();
    await buckets.getByText('1 of 3 images has fewer pixels than 1024 × 1024').waitFor();
    await buckets.getByRole('button', { name: 'Show them' }).first().click();
    await expect.poll(() => listed(page, 'Images below 1024').allTextContents()).toEqual(['small.jpg300 × 300']);
    await buckets.getByRole('group', { name: 'Resolution' }).getByText('512').click();
    await table.getByText('512 × 512').waitFor();
    await expect.poll(() => table.getByText('1024 × 1024').count()).toBe(0);

    const clips = panel(page, 'Clips');
    await clips.getByText('1 of 1 clip has fewer than 81 frames').waitFor();
    await clips.getByRole('link', { name: 'short.mp4', exact: true }).waitFor();
  });

  test('counts duplicates, and finds dark, bright, blurred and tiny images', async () => {
    const picture = await media.png({ width: 640, height: 480, seed: 5 });
    const other = await media.jpeg({ width: 480, height: 640, seed: 40 });
    const { page } = await openWith({
      'original.png': picture,
      'again.png': picture,
      'other.jpg': other,
      'dark.png': await sharp(other).rotate(90).linear(0.05, 2).png().toBuffer(),
      'bright.png': await sharp(other).flop().linear(0.05, 240).png().toBuffer(),
      'blurred.png': await sharp(other).rotate(180).blur(12).png().toBuffer(),
      'tiny.png': await media.png({ width: 64, height: 64, seed: 90 }),
    });
    const names = async (label: string) =>
      (await listed(page, label).locator('span.truncate').allTextContents()).toSorted();
    await page.getByText('analyzed, from thumbnails of 320 pixels').waitFor();
    const duplicates = panel(page, 'Duplicates');
    await duplicates.getByText('1 could go').waitFor();
    expect(await names('Dark images')).toEqual(['dark.png']);
    expect(await names('Bright images')).toEqual(['bright.png']);
    expect(await names('Blurred images')).toContain('blurred.png');
    expect(await names('Tiny images')).toEqual(['tiny.png']);
    await page.getByRole('button', { name: 'Delete 1 tiny image with their captions' }).click();
    await page.getByRole('dialog', { name: 'Delete 1 file?' }).getByRole('button', { name: 'Delete 1 file' }).click();
    await listed(page, 'Tiny images').waitFor({ state: 'detached' });
    await duplicates.getByRole('link', { name: 'Review 1 group', exact: true }).click();
    await page.getByRole('heading', { name: 'Group 1 of 1' }).waitFor();
  });

  test('missing captions are written beside their images, or all filled with one text, which can be undone', async () => {
    const image = await media.jpeg();
    const { id, page } = await openWith({ 'a.jpg': image, 'b.jpg': image, 'c.jpg': image });
    await panel(page, '3 images need a caption').waitFor();
    await page.getByLabel('Caption of a.jpg').fill('a wagon');
    await page.keyboard.press('Control+Enter');
    await expect.poll(() => focusedOf(page)).toBe('Caption of b.jpg');
    await page.keyboard.type('a ');
    // What arrives moves the fields, and the caret stays in its own.
    await site.api.upload(id, 'aa.jpg', image);
    await page.getByLabel('Caption of aa.jpg').waitFor();
    await page.keyboard.type('depot');
    await site.api.raw('DELETE', `/${id}/files/aa.jpg`);
    await panel(page, '2 images need a caption').waitFor();
    expect(await site.api.text(id, 'a.txt')).toBe('a wagon');
    await page.getByLabel('Caption of b.jpg').blur();
    await panel(page, '1 image needs a caption').waitFor();
    expect(await site.api.text(id, 'b.txt')).toBe('a depot');
    await page.getByLabel('Caption of c.jpg').waitFor();
    await site.api.raw('DELETE', `/${id}/files/a.txt`);
    await page.getByLabel('give all of them one text').fill('sks');
    await page.getByRole('button', { name: 'Fill all 2' }).click();
    await verdict(page, 'Fit to train');
    expect([await site.api.text(id, 'a.txt'), await site.api.text(id, 'c.txt')]).toEqual(['sks', 'sks']);
    expect(await page.getByLabel('Caption of c.jpg').isVisible()).toBe(true);
    await panel(page, 'Last change').getByRole('button', { name: 'Undo' }).click();
    await panel(page, '2 images need a caption').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'b.jpg', 'b.txt', 'c.jpg']);
  });

  test('a caption that is being written stays when its list becomes longer than its frame', async () => {
    const image = await media.jpeg();
    const { id, page } = await openWith(Object.fromEntries([...'abcdefghijkl'].map((stem) => [`${stem}.jpg`, image])));
    const caption = page.getByLabel('Caption of c.jpg');
    await caption.pressSequentially('a ');
    await site.api.upload(id, 'm.jpg', image);
    await panel(page, '13 images need a caption').waitFor();
    await page.keyboard.type('light');
    expect(await caption.inputValue()).toBe('a light');
  });

  test('a rejected upload is dismissed, and one of two that would overwrite each other deleted', async () => {
    const { id, page } = await openWith({
      ...{ 'd.jpg': await media.jpeg(), 'd.JPG': await media.jpeg({ seed: 2 }), 'd.txt': 'a depot' },
      ...{ 'b.jpg': media.damaged.html(), 'c.jpg': media.damaged.html() },
    });
    await page.getByRole('button', { name: 'Dismiss b.jpg' }).click();
    await page.getByRole('button', { name: 'Dismiss b.jpg' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Dismiss c.jpg' }).click();
    await page.getByRole('button', { name: /^Delete d\.(jpg|JPG)$/ }).click();
    await verdict(page, 'Fit to train');
    await panel(page, 'Last change').getByRole('button', { name: 'Undo' }).click();
    await verdict(page, 'Not fit to train');
    expect(await site.api.filenames(id)).toHaveLength(3);
  });
});

const pairs = (page: Page) => panel(page, 'Controls and masks');
const rowOf = (page: Page, name: string, stem: string) =>
  pairs(page).getByRole('list', { name, exact: true }).getByRole('listitem').filter({ hasText: stem });

describe('the file for a missing control', () => {
  const nameOf = (filename: string, slot: 'control_1' | 'mask' = 'control_1', isClip = false) =>
    counterpartNameOf(filename, { stem: 'a.b', slot, isClip });

  test('is named after the target, with its own extension', () => {
    expect(nameOf('anything.PNG')).toBe('a.b.png');
    expect(nameOf('scan.webp', 'mask')).toBe('a.b.webp');
    expect(nameOf('clip.mp4', 'control_1', true)).toBe('a.b.mp4');
  });

  test('is an image that the trainer reads', () => {
    expect(() => nameOf('notes.txt')).toThrow("notes.txt can't be the control of a.b: it is a caption.");
    expect(() => nameOf('a.psd')).toThrow('not an image by its extension');
    expect(() => nameOf('a.avif')).toThrow('the trainer does not read .avif files. Choose a JPEG, PNG or WebP image.');
    expect(() => nameOf('clip.mp4')).toThrow('it is a clip');
    expect(() => nameOf('clip.mp4', 'mask', true)).toThrow("can't be the mask of a.b: it is a clip");
  });
});

describeInBrowser('controls and masks in "Fit to train?"', (site) => {
  /** The view of a training dataset of these targets, linked to a control dataset of these files. */
  async function openLinked(targets: readonly string[], controls: Record<string, Buffer | string>) {
    const { api } = site;
    const id = await datasetWith(api, await targetsOf(targets));
    const name = `depth of ${id.slice(0, 8)}`;
    const control = await datasetWith(api, controls, { role: 'control', name });
    await linkDatasets(api, id, { control_1: control });
    return { id, control, name, ...(await site.open(`/datasets/${id}/fitness`)) };
  }

  const drop = async (page: Page, row: ReturnType<typeof rowOf>, files: Parameters<typeof transferOf>[1]) =>
    row.getByRole('button').dispatchEvent('drop', { dataTransfer: await transferOf(page, files) });

  test('missing files are dropped or chosen in their places, and the dataset becomes READY by itself', async () => {
    const { id, control, name, page } = await openLinked(stemsTo(4), await controlsOf(['01']));
    const sends = sendsOf(page);
    await verdict(page, 'Not fit to train');
    await expect.poll(() => panel(page, 'Errors').count()).toBe(0);
    const row = rowOf(page, 'Targets without a control', '02');
    const place = row.getByRole('button', { name: 'Choose a file as the control of 02' });
    await choose(place, bytesOf('02.txt', 'a caption'));
    await row.getByText("02.txt can't be the control of 02: it is a caption.").waitFor();
    await drop(page, row, [bytesOf('x.png', 'x'), bytesOf('y.png', 'y')]);
    await row.getByText('Choose one file, the control of 02.').waitFor();
    expect(sends).toEqual([]);
    await choose(place, bytesOf('scan.png', await media.png({ seed: 3 })));
    await row.waitFor({ state: 'detached' });
    const webp = bytesOf('any name.webp', await media.webp({ seed: 7 }));
    await drop(page, rowOf(page, 'Targets without a control', '03'), [webp]);
    await rowOf(page, 'Targets without a control', '03').waitFor({ state: 'detached' });

    // Files that are dropped beside the places are added to the control dataset, and anywhere else to the training dataset.
    const heading = pairs(page).getByRole('heading', { name: `Control: ${name}` });
    const toControl = await transferOf(page, [bytesOf('04.png', await media.png({ seed: 5 }))]);
    const toTraining = await transferOf(page, [bytesOf('e.txt', 'a caption')]);
    await page.dispatchEvent('body', 'dragover', { dataTransfer: toTraining });
    await page.getByText('Drop to add to this dataset').waitFor();
    await page.dispatchEvent('body', 'drop', { dataTransfer: toTraining });
    await heading.dispatchEvent('dragover', { dataTransfer: toControl });
    await expect.poll(() => page.getByText('Drop to add to this dataset').count()).toBe(0);
    await heading.dispatchEvent('drop', { dataTransfer: toControl });
    await verdict(page, 'Fit to train');
    await pairs(page).getByText('Each target has its control.').waitFor();
    expect(await site.api.filenames(control)).toEqual(['01.png', '02.png', '03.webp', '04.png']);
    await expect.poll(() => site.api.filenames(id)).toContain('e.txt');
  });

  test('a control dataset says what is wrong with it, which captions are not used, and who uses it', async () => {
    const { id, control, name, page } = await openLinked(['a'], await controlsOf(['a']));
    await site.api.upload(control, 'a.jpg', media.damaged.html());
    await site.api.upload(control, 'a.txt', 'a caption that no trainer reads');
    await verdict(page, 'Not fit to train');
    await pairs(page).getByText(`${name} is not fit to train with.`).waitFor();
    await pairs(page).getByRole('link', { name: 'Show what is wrong with it' }).click();
    await verdict(page, 'Not fit as controls');
    await panel(page, 'Errors').getByText('a.jpg').first().waitFor();
    await page.getByRole('button', { name: 'Dismiss a.jpg' }).click();
    await verdict(page, 'Fit as controls');
    await panel(page, 'Warnings').getByText('Captions that are not used').waitFor();
    await expect.poll(() => panel(page, 'Train').count()).toBe(0);
    await panel(page, 'Used by').getByRole('link').click();
    await page.waitForURL(`**/datasets/${id}**`);
    await pairs(page).getByText('Each target has its control.').waitFor();
  });
});
