import type { Route } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { type ZipEntry, zipOf } from '../../hostile/zip.js';
import { openDataset } from '../linked-datasets.js';
import { bytesOf, dockOf, drop, failureOf, FILES, FOLDER, sendsOf, transferOf } from './drop-files.js';

describeInBrowser('adding files', (site) => {
  /** Opens the page of a new dataset with these files. */
  const atDataset = async (existing: Record<string, Buffer | string> = {}) => {
    const opened = await openDataset(site, existing);
    await opened.page.getByRole('button', { name: 'Add', exact: true }).waitFor();
    return { ...opened, sends: sendsOf(opened.page) };
  };

  test('picked and dropped files are uploaded by signed PUT, and listed until dismissed', async () => {
    const { page, id, sends } = await atDataset();
    const dock = dockOf(page);
    await page.locator(FILES).setInputFiles([bytesOf('a.jpg', await media.jpeg())]);
    await dock.getByText('1 file uploaded').waitFor();
    const dataTransfer = await transferOf(page, [bytesOf('a.txt', 'a caption'), bytesOf('b.txt', 'another')]);
    await page.dispatchEvent('body', 'dragover', { dataTransfer });
    await page.getByText('Drop to add to this dataset').waitFor();
    await page.dispatchEvent('body', 'drop', { dataTransfer });
    await expect.poll(() => page.getByText('Drop to add to this dataset').count()).toBe(0);
    await dock.getByText(/[23] files uploaded/).waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'a.txt', 'b.txt']);
    expect(sends).toHaveLength(3);
    await page.getByRole('link', { name: 'All datasets' }).click();
    await page.getByRole('heading', { name: 'Datasets' }).waitFor();
    await dock.getByRole('button', { name: 'Dismiss uploads' }).click();
    await dock.waitFor({ state: 'detached' });
  });

  test('a dropped folder is read whole, even if it has many files', async () => {
    const { page, context } = await atDataset();
    // More than the 100 entries that Chromium returns per read.
    const names = Array.from({ length: 120 }, (_, index) => `caption ${index}.txt`);
    const deep = Object.fromEntries(names.map((name) => [`deep/deeper/${name}`, name]));
    const folder = await folderWith({ ...(await pairsOf(1)), ...deep });
    const data = { items: [], files: [folder], dragOperationsMask: 1 };
    const devtools = await context.newCDPSession(page);
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
      await devtools.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
    }
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('list', { name: 'Folders' }).getByText('deep/deeper', { exact: true }).waitFor();
    await dialog.getByRole('button', { name: 'Upload 122 files' }).waitFor();
  });

  test('files on the list become a new dataset after a name is given, which a folder suggests in a valid form', async () => {
    await site.api.newDataset('red-wagons');
    const { page } = await site.open();
    await page.getByRole('link', { name: 'red-wagons' }).waitFor();
    const dialog = page.getByRole('dialog');
    await page.locator(FOLDER).setInputFiles(await folderWith(await pairsOf(1), 'red&wagons'));
    await expect.poll(() => dialog.getByLabel('Name').inputValue()).toBe('red-wagons 2');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await drop(page, bytesOf('a.jpg', await media.jpeg()), bytesOf('a.doc', 'no'));
    await dialog.getByText('a.doc').first().waitFor();
    await dialog.getByLabel('Name').fill('dropped');
    await dialog.getByRole('button', { name: 'Create and upload 1 file' }).click();
    await page.getByRole('heading', { name: 'dropped' }).waitFor();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    const made = (await site.api.list()).body.datasets.find(({ name }) => name === 'dropped');
    expect(await site.api.filenames(made!.id)).toEqual(['a.jpg']);
  });

  test('names that exist are replaced after one question, or kept, or both are kept, or nothing is uploaded', async () => {
    const files = [
      bytesOf('new.txt', 'new'),
      bytesOf('same.txt', 'the same'),
      bytesOf('a.txt', 'after'),
      bytesOf('b.txt', 'after it'),
    ];
    const { page, id, sends } = await atDataset({ 'same.txt': 'the same', 'a.txt': 'before', 'b.txt': 'as it was' });
    const dialog = page.getByRole('dialog', { name: /^Add to / });
    const choose = async (choice: string, button: string) => {
      await page.locator(FILES).setInputFiles(files);
      await dialog.getByText(choice, { exact: true }).click();
      await dialog.getByRole('button', { name: button }).click();
      await dialog.waitFor({ state: 'detached' });
    };
    await page.locator(FILES).setInputFiles(files);
    await dialog.getByText('1 file skipped: already in the dataset, with the same bytes.').waitFor();
    await dialog.getByText(/already has 2 files of the same name/).waitFor();
    await dialog.getByText('a.txt, b.txt').waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.locator(FILES).setInputFiles([bytesOf('same.txt', 'the same')]);
    await page.getByRole('dialog', { name: 'Nothing to upload' }).getByRole('button').first().click();
    expect(sends).toEqual([]);
    await choose('Keep the old', 'Upload 1 file');
    await dockOf(page).getByText('1 file uploaded').waitFor();
    expect([await site.api.text(id, 'new.txt'), await site.api.text(id, 'a.txt')]).toEqual(['new', 'before']);
    await choose('Keep both', 'Upload 2 files');
    await dockOf(page).getByText('2 files uploaded').waitFor();
    expect([await site.api.text(id, 'a_2.txt'), await site.api.text(id, 'a.txt')]).toEqual(['after', 'before']);
    await choose('Replace them', 'Upload 2 files');
    const texts = () => Promise.all(['a.txt', 'b.txt', 'b_2.txt'].map((name) => site.api.text(id, name)));
    await expect.poll(texts).toEqual(['after', 'after it', 'after it']);
    await expect.poll(() => sends.length).toBe(5);
  });

  test('folders become datasets of their own, under names that can be changed, or are skipped', {
    tags: ['long'],
  }, async () => {
    const { api, open } = await site.newAccount();
    await api.newDataset('cat');
    const { page } = await open();
    const names = ['10_cat/a', '5_dog/b', '1_bird/c'];
    const images = await Promise.all(names.map(async (name, seed) => [`${name}.jpg`, await media.jpeg({ seed })]));
    await page.getByRole('link', { name: 'cat' }).waitFor();
    await page.locator(FOLDER).setInputFiles(await folderWith(Object.fromEntries(images), 'img'));
    const dialog = page.getByRole('dialog', { name: 'New dataset' });
    const choose = (path: string, choice: string) =>
      dialog
        .getByRole('group', { name: `What to do with img/${path}` })
        .getByText(choice)
        .click();
    await choose('10_cat', 'Own dataset');
    await choose('5_dog', 'Own dataset');
    await choose('1_bird', 'Skip');
    const name = dialog.getByLabel('Name of the dataset from img/10_cat');
    await expect.poll(() => name.inputValue()).toBe('cat 2');
    await name.fill('cats');
    const lost = { status: 422, json: { error_code: 422000, error_message: 'Not today.' } };
    let sends = 0;
    const isFirst = (route: Route) => route.request().method() === 'PUT' && sends++ === 0;
    await page.route('**', (route) => (isFirst(route) ? route.fulfill(lost) : route.continue()));
    await dialog.getByRole('button', { name: 'Create 2 datasets, upload 2 files' }).click();
    await (await failureOf(page, 'Not today.')).getByRole('button', { name: /^Retry/ }).click();
    await dockOf(page).getByText('2 files uploaded').waitFor();
    const { datasets } = (await api.list()).body;
    expect(datasets.map(({ name }) => name).sort()).toEqual(['cat', 'cats', 'dog']);
    const groupsOf = async (dataset: string) =>
      (await api.status(datasets.find(({ name }) => name === dataset)!.id)).body.groups;
    await expect.poll(() => groupsOf('cats')).toEqual([{ name: 'cat', repeats: 10, is_reg: false, files: 1 }]);
    await expect.poll(() => groupsOf('dog')).toMatchObject([{ name: 'dog', repeats: 5, files: 1 }]);
  });
});

const entriesOf = (files: Record<string, Buffer | string>): ZipEntry[] =>
  Object.entries(files).map(([name, bytes]) => ({ name, bytes }));

describeInBrowser('importing', (site) => {
  test('a dropped zip is shown first, and becomes a dataset with captions of a table and repeats of kohya', async () => {
    const { page } = await site.open();
    await page.getByRole('heading', { name: 'Datasets', exact: true }).waitFor();
    const zip = zipOf([
      ...entriesOf({
        'red wagons/10_wagon/1.jpg': await media.jpeg({ seed: 1 }),
        'red wagons/10_wagon/2.jpg': await media.jpeg({ seed: 2 }),
        'red wagons/10_wagon/metadata.csv': 'file_name,short,text\n1.jpg,red,A red wagon.\n2.jpg,blue,A blue wagon.\n',
        'red wagons/README.txt': 'Made with …',
        '__MACOSX/red wagons/._1.jpg': 'x',
      }),
      { name: '../3.jpg', bytes: 'x' },
      { name: 'red wagons/10_wagon/4.webp', bytes: await media.webp({ seed: 3 }), crc: 1 },
    ]);
    const sends = sendsOf(page);
    await drop(page, bytesOf('from civitai.zip', zip));
    const dialog = page.getByRole('dialog', { name: 'New dataset' });
    await expect.poll(() => dialog.getByLabel('Name').inputValue()).toBe('from civitai');
    await dialog.getByText('2 captions from from civitai/red wagons/10_wagon/metadata.csv').waitFor();
    await dialog.getByText('10 repeats, kept as the group “wagon”').waitFor();
    await dialog.getByText("2 files can't be uploaded").waitFor();
    await dialog.getByText('Its path leads out of the archive.').waitFor();
    await dialog.getByText('There is no image or clip of this name.').waitFor();
    await dialog.getByText('1 hidden system file skipped.').waitFor();
    await expect.poll(() => dialog.getByLabel('Captions').inputValue()).toBe('text');
    await dialog.getByLabel('Captions').selectOption('short');
    await expect.poll(() => dialog.getByLabel('Captions').inputValue()).toBe('short');
    expect(sends).toEqual([]);
    await dialog.getByRole('button', { name: 'Create and upload 5 files' }).click();
    await dockOf(page).getByText('4 of 5 files uploaded').waitFor();
    await (await failureOf(page, '4.webp')).getByText("4.webp can't be unpacked: the archive is damaged").waitFor();
    const found = (await site.api.list()).body.datasets.find(({ name }) => name === 'from civitai')!;
    expect(await site.api.text(found.id, '1.txt')).toBe('red');
    expect((await site.api.status(found.id)).body).toMatchObject({
      status: 'READY',
      groups: [{ name: 'wagon', repeats: 10, files: 4 }],
    });
  });

  test('a table of captions is for the files of the dataset, by their names', async () => {
    const { id, page } = await openDataset(site, {
      ...{ '1.jpg': await media.jpeg({ seed: 1 }), '1.txt': 'my own words' },
      ...{ '2.jpg': await media.jpeg({ seed: 2 }), '3.jpg': await media.jpeg({ seed: 3 }), '3.txt': 'three' },
    });
    await page.getByRole('button', { name: 'Add', exact: true }).waitFor();
    const dialog = page.getByRole('dialog');
    // Also a zip of which nothing is to be decided is shown first.
    const zip = zipOf(entriesOf({ '5.jpg': await media.jpeg({ seed: 5 }) }));
    await drop(page, bytesOf('more.zip', zip));
    await dialog.getByRole('button', { name: 'Upload 1 file' }).waitFor();
    await page.keyboard.press('Escape');
    const rows = ['file_name,was,text', '2.jpg,1.jpg,theirs', ',2.jpg,two', ',3.jpg,three', '4.jpg,4.jpg,gone', ''];
    await drop(page, bytesOf('captions.csv', rows.join('\r\n')));
    await dialog.getByText('1 caption from captions.csv').waitFor();
    const held: Route[] = [];
    await page.route(/\/status/, (route) => void held.push(route), { times: 1 });
    await dialog.getByLabel('Files', { exact: true }).selectOption('was');
    await expect.poll(() => held.length).toBe(1);
    expect(await dialog.getByRole('button', { name: /^Upload/ }).getAttribute('aria-disabled')).toBe('true');
    await held[0]!.continue();
    await dialog.getByText('3 captions from captions.csv').waitFor();
    await dialog.getByText('4.jpg is not among the images and clips.').waitFor();
    await dialog.getByText('1 file skipped: already in the dataset, with the same bytes.').waitFor();
    await dialog.getByText(/already has 1 file of the same name/).waitFor();
    await dialog.getByText('Keep both', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Upload 1 file' }).click();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    expect(await site.api.filenames(id)).toEqual(['1.jpg', '1.txt', '2.jpg', '2.txt', '3.jpg', '3.txt']);
    expect([await site.api.text(id, '1.txt'), await site.api.text(id, '2.txt')]).toEqual(['my own words', 'two']);
  });

  test('a file that is no zip is named, and a folder with two captions for each picture lets the user choose', async () => {
    const { page } = await site.open();
    await page.getByRole('heading', { name: 'Datasets', exact: true }).waitFor();
    await drop(page, bytesOf('page.zip', '<html>'));
    await page.getByText("page.zip can't be read as a zip").waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    const files = { '1.jpg': await media.jpeg(), '1.txt': 'red, wagon', '1.caption': 'A red wagon.' };
    await page.locator(FOLDER).setInputFiles(await folderWith(files, 'two captions'));
    const dialog = page.getByRole('dialog', { name: 'New dataset' });
    await dialog.getByText('1 file with several captions').waitFor();
    await dialog.getByText('.caption', { exact: true }).click();
    await dialog.getByText('The caption of 1 comes from 1.caption.').waitFor();
    await dialog.getByRole('button', { name: 'Create and upload 2 files' }).click();
    await dockOf(page).getByText('2 files uploaded').waitFor();
    const found = (await site.api.list()).body.datasets.find(({ name }) => name === 'two captions')!;
    expect(await site.api.text(found.id, '1.txt')).toBe('A red wagon.');
  });
});
