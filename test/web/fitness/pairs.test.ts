import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { counterpartNameOf } from '../../../web/fitness/pairs/counterpart-file.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { controlsOf, datasetWith, linkDatasets, stemsTo, targetsOf } from '../linked-datasets.js';
import { bytesOf, sendsOf, transferOf } from '../upload/drop-files.js';

const panel = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
const pairs = (page: Page) => panel(page, 'Controls and masks');
const rowOf = (page: Page, name: string, stem: string) =>
  pairs(page).getByRole('list', { name, exact: true }).getByRole('listitem').filter({ hasText: stem });
const verdict = (page: Page, name: string) =>
  panel(page, 'Verdict').getByRole('heading', { name, exact: true }).waitFor();

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
    const choose = async (file: ReturnType<typeof bytesOf>) => {
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        row.getByRole('button', { name: 'Choose a file as the control of 02' }).click(),
      ]);
      await chooser.setFiles(file);
    };
    await choose(bytesOf('02.txt', 'a caption'));
    await row.getByText("02.txt can't be the control of 02: it is a caption.").waitFor();
    await drop(page, row, [bytesOf('x.png', 'x'), bytesOf('y.png', 'y')]);
    await row.getByText('Choose one file, the control of 02.').waitFor();
    expect(sends).toEqual([]);
    await choose(bytesOf('scan.png', await media.png({ seed: 3 })));
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
