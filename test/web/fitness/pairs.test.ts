import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { counterpartNameOf } from '../../../web/fitness/pairs/counterpart-file.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { controlsOf, datasetWith, linkDatasets, stemsTo, targetsOf } from '../linked-datasets.js';
import { bytesOf, dockOf, sendsOf, transferOf } from '../upload/drop-files.js';

const panel = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
const pairs = (page: Page) => panel(page, 'Controls and masks');
const list = (page: Page, name: string) => pairs(page).getByRole('list', { name, exact: true });
const rowOf = (page: Page, name: string, stem: string) =>
  list(page, name).getByRole('listitem').filter({ hasText: stem });
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
  /** A training dataset of these targets, linked to a control dataset of these stems. */
  async function linked(targets: readonly string[], controls: readonly string[]) {
    const { api } = site;
    const id = await datasetWith(api, await targetsOf(targets));
    const name = `depth of ${id.slice(0, 8)}`;
    const control = await datasetWith(api, await controlsOf(controls), { role: 'control', name });
    await linkDatasets(api, id, { control_1: control });
    return { id, control, name };
  }

  const open = (id: string) => site.open(`/datasets/${id}/fitness`);

  const drop = async (page: Page, row: ReturnType<typeof rowOf>, files: Parameters<typeof transferOf>[1]) =>
    row.getByRole('button').dispatchEvent('drop', { dataTransfer: await transferOf(page, files) });

  test('the file that is missing is dropped in its place, and the dataset becomes READY by itself', async () => {
    const { id, control } = await linked(
      stemsTo(12),
      stemsTo(12).filter((stem) => stem !== '07'),
    );
    const { page, browserErrors } = await open(id);
    await verdict(page, 'Not fit to train');
    expect(await list(page, 'Targets without a control').getByRole('listitem').count()).toBe(1);
    expect(await panel(page, 'Errors').count()).toBe(0);
    await drop(page, rowOf(page, 'Targets without a control', '07'), [
      bytesOf('any name.webp', await media.webp({ seed: 7 })),
    ]);
    await verdict(page, 'Fit to train');
    await pairs(page).getByText('Each target has its control.').waitFor();
    expect(await site.api.filenames(control)).toContain('07.webp');
    expect(await site.api.filenames(id)).toHaveLength(24);
    expect(browserErrors).toEqual([]);
  });

  test('a control of another aspect ratio is a warning, one that is too narrow an error', async () => {
    const { api } = site;
    const id = await datasetWith(api, await targetsOf(['a', 'b']));
    const control = await datasetWith(api, {}, { role: 'control' });
    await api.upload(control, 'a.png', await media.png({ width: 200, height: 96 }));
    await api.upload(control, 'b.png', await media.png({ width: 96, height: 96 }));
    await linkDatasets(api, id, { control_1: control });
    const { page } = await open(id);
    await verdict(page, 'Fit to train');
    const section = pairs(page);
    await section.getByText('Other aspect ratios').waitFor();
    await section.getByText('200 × 96').waitFor();
    await section.getByText('Each target has its control.').waitFor();
    expect(await section.getByText('The trainer stops').count()).toBe(0);
    await api.upload(control, 'b.png', await media.png({ width: 96, height: 8 }));
    await verdict(page, 'Not fit to train');
    await section.getByText('The trainer stops').waitFor();
    expect(await section.getByText("Sizes that don't fit").count()).toBe(1);
    expect(await section.getByText('Each target has its control.').count()).toBe(0);
  });

  test('or it is chosen; a file of a wrong kind is not sent', async () => {
    const { id, control } = await linked(['a', 'b'], ['a']);
    const { page, browserErrors } = await open(id);
    const sends = sendsOf(page);
    const row = rowOf(page, 'Targets without a control', 'b');
    const choose = async (file: ReturnType<typeof bytesOf>) => {
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        row.getByRole('button', { name: 'Choose a file as the control of b' }).click(),
      ]);
      await chooser.setFiles(file);
    };
    await choose(bytesOf('b.txt', 'a caption'));
    await row.getByText("b.txt can't be the control of b: it is a caption.").waitFor();
    await choose(bytesOf('b.avif', await media.avif()));
    await row.getByText('the trainer does not read .avif files').waitFor();
    await drop(page, row, [bytesOf('x.png', 'x'), bytesOf('y.png', 'y')]);
    await row.getByText('Choose one file, the control of b.').waitFor();
    expect(sends).toEqual([]);
    await choose(bytesOf('scan.png', await media.png({ seed: 3 })));
    await verdict(page, 'Fit to train');
    expect(await site.api.filenames(control)).toEqual(['a.png', 'b.png']);
    expect(browserErrors).toEqual([]);
  });

  test('files that are dropped beside the places are added to the control dataset', async () => {
    const { id, control, name } = await linked(['a', 'b', 'c'], ['a']);
    const { page } = await open(id);
    const heading = pairs(page).getByRole('heading', { name: `Control: ${name}` });
    const dataTransfer = await transferOf(page, [
      bytesOf('b.png', await media.png({ seed: 5 })),
      bytesOf('c.png', await media.png({ seed: 6 })),
    ]);
    await heading.dispatchEvent('dragover', { dataTransfer });
    expect(await page.getByText('Drop to add to this dataset').count()).toBe(0);
    await heading.dispatchEvent('drop', { dataTransfer });
    await dockOf(page).getByText('2 files uploaded').waitFor();
    await verdict(page, 'Fit to train');
    expect(await site.api.filenames(control)).toEqual(['a.png', 'b.png', 'c.png']);
  });

  test('a drop anywhere else goes to the training dataset, and the hint covers no place', async () => {
    const { id } = await linked(['a', 'b'], ['a']);
    const { page } = await open(id);
    const row = rowOf(page, 'Targets without a control', 'b');
    await row.waitFor();
    const dataTransfer = await transferOf(page, [bytesOf('c.txt', 'a caption')]);
    await page.dispatchEvent('body', 'dragover', { dataTransfer });
    const hint = await page.getByText('Drop to add to this dataset').boundingBox();
    const place = await row.boundingBox();
    expect(hint!.y).toBeGreaterThan(place!.y + place!.height);
    await page.dispatchEvent('body', 'drop', { dataTransfer });
    await dockOf(page).getByText('1 file uploaded').waitFor();
    expect(await site.api.filenames(id)).toContain('c.txt');
  });

  test('ten are listed at first, and all on request', async () => {
    const { id } = await linked(stemsTo(13), ['01']);
    const { page } = await open(id);
    const rows = list(page, 'Targets without a control').getByRole('listitem');
    await rows.first().waitFor();
    expect(await rows.count()).toBe(10);
    await pairs(page).getByRole('button', { name: 'Show all 12' }).click();
    await rows.nth(11).waitFor();
    expect(await rows.count()).toBe(12);
  });

  test('a control of another case or format is named beside the place as soon as it arrives', async () => {
    const { id, control } = await linked(['cat', 'dog'], []);
    const { page } = await open(id);
    await rowOf(page, 'Targets without a control', 'cat').waitFor();
    await site.api.upload(control, 'Cat.png', await media.png({ seed: 8 }));
    await site.api.upload(control, 'dog.gif', await media.gif({ seed: 9 }));
    const text = 'There is Cat.png: the names must be equal in every letter.';
    await rowOf(page, 'Targets without a control', 'cat').getByText(text).waitFor();
    await rowOf(page, 'Targets without a control', 'dog').getByText('The trainer does not take dog.gif.').waitFor();
  });

  test('two files of one stem, sizes that do not fit, and files without a target are listed with their files', async () => {
    const { id, control } = await linked(['a', 'b', 'c'], ['a', 'c', 'extra']);
    await site.api.upload(control, 'a.webp', await media.webp({ seed: 2 }));
    await site.api.upload(control, 'b.png', await media.png({ width: 40, height: 40 }));
    const { page, browserErrors } = await open(id);
    const files = rowOf(page, 'Several files for one control', 'a').getByRole('link');
    await files.first().waitFor();
    expect(await files.allTextContents()).toEqual(['a.png', 'a.webp']);
    await rowOf(page, "Sizes of the control that don't fit", 'b').getByText('40 × 40').waitFor();
    await rowOf(page, 'Files for the control without a target', 'extra')
      .getByRole('link', { name: 'extra.png' })
      .click();
    await page.waitForURL(`**/datasets/${control}?file=extra.png`);
    expect(browserErrors).toEqual([]);
  });

  test('black and coloured masks are listed, and missing ones have a place', async () => {
    const { api } = site;
    const id = await datasetWith(api, await targetsOf(['a', 'b', 'c']));
    const size = { width: 96, height: 96, channels: 3 as const };
    const mask = await datasetWith(
      api,
      {
        'a.png': await sharp({ create: { ...size, background: 'black' } })
          .png()
          .toBuffer(),
        'b.png': await media.png({ seed: 3 }),
      },
      { role: 'mask' },
    );
    await linkDatasets(api, id, { mask });
    const { page, browserErrors } = await open(id);
    await rowOf(page, 'Black masks', 'a.png').waitFor();
    await rowOf(page, 'Masks that are not grayscale', 'b.png').waitFor();
    expect(await panel(page, 'Warnings').getByText('Black masks').count()).toBe(0);
    const white = await sharp({ create: { ...size, background: 'white' } })
      .png()
      .toBuffer();
    await drop(page, rowOf(page, 'Targets without a mask', 'c'), [bytesOf('white.png', white)]);
    await verdict(page, 'Fit to train');
    expect(browserErrors).toEqual([]);
  });

  test('a control dataset that is not READY is named, and says what is wrong', async () => {
    const { id, control, name } = await linked(['a'], ['a']);
    await site.api.upload(control, 'a.jpg', media.damaged.html());
    const { page } = await open(id);
    await verdict(page, 'Not fit to train');
    await pairs(page).getByText(`${name} is not fit to train with.`).waitFor();
    await pairs(page).getByRole('link', { name: 'Show what is wrong with it' }).click();
    await verdict(page, 'Not fit as controls');
    await panel(page, 'Errors').getByText('a.jpg').first().waitFor();
  });

  test('a control dataset says who uses it, and which captions are not used', async () => {
    const { api } = site;
    const { control } = await linked(['a'], ['a']);
    const other = await datasetWith(api, await targetsOf(['a']), { name: 'another that uses it' });
    await linkDatasets(api, other, { control_1: control });
    await api.upload(control, 'a.txt', 'a caption that no trainer reads');
    const { page, browserErrors } = await open(control);
    await verdict(page, 'Fit as controls');
    expect(await panel(page, 'Used by').getByRole('listitem').count()).toBe(2);
    await panel(page, 'Warnings').getByText('Captions that are not used').waitFor();
    expect(await panel(page, 'Train').count()).toBe(0);
    await panel(page, 'Used by').getByRole('link', { name: 'another that uses it' }).click();
    await page.getByRole('heading', { name: 'another that uses it' }).waitFor();
    await pairs(page).getByText('Each target has its control.').waitFor();
    expect(browserErrors).toEqual([]);
  });

  describe('for a token that only reads', () => {
    let token: string;
    beforeAll(async () => {
      token = await site.readOnlyToken();
    });

    test('what is missing is listed without places', async () => {
      const { id } = await linked(['a', 'b'], ['a']);
      const { page } = await site.open(`/datasets/${id}/fitness`, { token });
      await rowOf(page, 'Targets without a control', 'b').waitFor();
      expect(await pairs(page).getByRole('button').count()).toBe(0);
    });
  });
});
