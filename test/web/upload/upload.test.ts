import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { datasetWith } from '../linked-datasets.js';
import { bytesOf, dockOf, FILES, FOLDER, sendsOf, transferOf } from './drop-files.js';

describeInBrowser('adding files', (site) => {
  /** Opens the page of a new dataset with these files. */
  const atDataset = async (existing: Record<string, Buffer | string> = {}) => {
    const id = await datasetWith(site.api, existing);
    const visited = await site.open(`/datasets/${id}`);
    await visited.page.getByRole('button', { name: 'Add', exact: true }).waitFor();
    return { ...visited, id, sends: sendsOf(visited.page) };
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
    const dataTransfer = await transferOf(page, [bytesOf('a.jpg', await media.jpeg()), bytesOf('a.doc', 'no')]);
    await page.dispatchEvent('body', 'drop', { dataTransfer });
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
    await dialog.getByRole('button', { name: 'Create 2 datasets, upload 2 files' }).click();
    await dockOf(page).getByText('2 files uploaded').waitFor();
    const { datasets } = (await api.list()).body;
    expect(datasets.map(({ name }) => name).sort()).toEqual(['cat', 'cats', 'dog']);
    const { groups } = (await api.status(datasets.find(({ name }) => name === 'cats')!.id)).body;
    expect(groups).toEqual([{ name: 'cat', repeats: 10, is_reg: false, files: 1 }]);
  });
});
