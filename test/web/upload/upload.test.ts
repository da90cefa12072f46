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
    expect(await page.getByText('Drop to add to this dataset').count()).toBe(0);
    await dock.getByText(/[23] files uploaded/).waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'a.txt', 'b.txt']);
    expect(sends).toHaveLength(3);
    await page.getByRole('link', { name: 'All datasets' }).click();
    await page.getByRole('heading', { name: 'Datasets' }).waitFor();
    await dock.getByRole('button', { name: 'Dismiss uploads' }).click();
    await dock.waitFor({ state: 'detached' });
  });

  test('a dropped folder is uploaded whole, even if it has many files', async () => {
    const { page, context, id } = await atDataset();
    // More than the 100 entries that Chromium returns per read.
    const names = Array.from({ length: 120 }, (_, index) => `caption ${index}.txt`);
    const deep = Object.fromEntries(names.map((name) => [`deep/deeper/${name}`, name]));
    const folder = await folderWith({ ...(await pairsOf(1)), ...deep });
    const data = { items: [], files: [folder], dragOperationsMask: 1 };
    const devtools = await context.newCDPSession(page);
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
      await devtools.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
    }
    await dockOf(page).getByText('122 files uploaded').waitFor();
    expect((await site.api.filenames(id)).sort()).toEqual(['01.jpg', '01.txt', ...names].sort());
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

  test('names that exist are overwritten after one question, or skipped, or nothing is uploaded', async () => {
    const files = [
      bytesOf('new.txt', 'new'),
      bytesOf('same.txt', 'the same'),
      bytesOf('a.txt', 'after'),
      bytesOf('b.txt', 'after it'),
    ];
    const { page, id, sends } = await atDataset({ 'same.txt': 'the same', 'a.txt': 'before', 'b.txt': 'as it was' });
    const dialog = page.getByRole('dialog', { name: 'Overwrite 2 files?' });
    const choose = async (button: string) => {
      await page.locator(FILES).setInputFiles(files);
      await dialog.getByRole('button', { name: button }).click();
      await dialog.waitFor({ state: 'detached' });
    };
    await page.locator(FILES).setInputFiles(files);
    await dialog.getByText('1 file skipped: already in the dataset, with the same bytes.').waitFor();
    const names = dialog.getByRole('list', { name: 'Files to overwrite' }).getByRole('listitem');
    expect(await names.allTextContents()).toEqual(['a.txt', 'b.txt']);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.locator(FILES).setInputFiles([bytesOf('same.txt', 'the same')]);
    await page.getByRole('dialog', { name: 'Nothing to upload' }).getByRole('button').first().click();
    expect(sends).toEqual([]);
    await choose('Skip existing files');
    await dockOf(page).getByText('1 file uploaded').waitFor();
    expect([await site.api.text(id, 'new.txt'), await site.api.text(id, 'a.txt')]).toEqual(['new', 'before']);
    await choose('Overwrite');
    await dockOf(page).getByText('2 files uploaded').waitFor();
    expect([await site.api.text(id, 'a.txt'), await site.api.text(id, 'b.txt')]).toEqual(['after', 'after it']);
    expect(sends).toHaveLength(3);
  });

  test('bad names and empty files are rejected before a byte is sent, and the others can be uploaded', async () => {
    const { page, id, sends } = await atDataset();
    const folder = await folderWith({
      ...{ 'good.jpg': await media.jpeg(), 'notes.docx': 'x', 'empty.png': '', '.DS_Store': 'x', 'Thumbs.db': 'x' },
      ...{ 'same.txt': 'two', 'other/same.txt': 'one' },
    });
    await page.locator(FOLDER).setInputFiles(folder);
    const dialog = page.getByRole('dialog', { name: "Some files can't be uploaded" });
    await dialog.getByText("4 files can't be uploaded").waitFor();
    await dialog.getByText('"notes.docx" is not an image').waitFor();
    await dialog.getByText('It is empty').waitFor();
    expect(await dialog.getByText('2 files would be named same.txt').count()).toBe(2);
    expect(sends).toEqual([]);
    await dialog.getByRole('button', { name: 'Upload 1 file' }).click();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    await page.getByText('2 hidden files skipped').waitFor();
    expect(await site.api.filenames(id)).toEqual(['good.jpg']);
    expect(sends).toHaveLength(1);
  });
});
