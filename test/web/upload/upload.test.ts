import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { eventually } from '../../harness/server.js';
import { bytesOf, dockOf, FILES, FOLDER, sendsOf, transferOf } from './drop-files.js';

const ready = (api: Api, id: string) =>
  eventually(async () => ((await api.status(id)).body.status === 'READY' ? true : undefined));

describeInBrowser('adding files', (site) => {
  /** Opens the page of a new dataset with these files. */
  const atDataset = async (existing: Record<string, Buffer | string> = {}) => {
    const id = await site.api.newDataset();
    for (const [name, bytes] of Object.entries(existing)) await site.api.upload(id, name, bytes);
    const visited = await site.open(`/datasets/${id}`);
    await visited.page.getByRole('button', { name: 'Add files' }).waitFor();
    return { ...visited, id, sends: sendsOf(visited.page) };
  };

  test('picked files are uploaded by signed PUT, and listed until dismissed', async () => {
    const { page, id, browserErrors, sends } = await atDataset();
    await page.locator(FILES).setInputFiles([bytesOf('a.jpg', await media.jpeg()), bytesOf('a.txt', 'a caption')]);
    const dock = dockOf(page);
    await dock.getByText('2 files uploaded').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'a.txt']);
    expect(sends).toHaveLength(2);
    await page.getByRole('link', { name: 'All datasets' }).click();
    await page.getByRole('heading', { name: 'Datasets' }).waitFor();
    await dock.getByText('2 files uploaded').waitFor();
    await dock.getByRole('button', { name: 'Dismiss uploads' }).click();
    await dock.waitFor({ state: 'detached' });
    expect(browserErrors).toEqual([]);
  });

  test('a picked folder is uploaded with its subfolders and without hidden system files', async () => {
    const { page, id, browserErrors } = await atDataset();
    const folder = await folderWith({ ...(await pairsOf(1)), '.DS_Store': 'x', 'Thumbs.db': 'x' });
    await mkdir(join(folder, 'deep', 'deeper'), { recursive: true });
    await writeFile(join(folder, 'deep', 'deeper', 'b.jpg'), await media.jpeg({ seed: 9 }));
    await writeFile(join(folder, 'deep', 'b.txt'), 'a wagon');
    await page.locator(FOLDER).setInputFiles(folder);
    await dockOf(page).getByText('4 files uploaded').waitFor();
    await page.getByText('2 hidden files skipped').waitFor();
    await ready(site.api, id);
    expect(await site.api.filenames(id)).toEqual(['01.jpg', '01.txt', 'b.jpg', 'b.txt']);
    expect(browserErrors).toEqual([]);
  });

  test('files can be dropped onto a dataset, and the page shows a hint during the drag', async () => {
    const { page, id, browserErrors } = await atDataset();
    const dataTransfer = await transferOf(page, [bytesOf('a.jpg', await media.jpeg()), bytesOf('a.txt', 'a caption')]);
    await page.dispatchEvent('body', 'dragover', { dataTransfer });
    await page.getByText('Drop to add to this dataset').waitFor();
    await page.dispatchEvent('body', 'drop', { dataTransfer });
    await dockOf(page).getByText('2 files uploaded').waitFor();
    expect(await page.getByText('Drop to add to this dataset').count()).toBe(0);
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'a.txt']);
    expect(browserErrors).toEqual([]);
  });

  test('a dropped folder is uploaded whole, even if it has many files', async () => {
    const { page, context, id, browserErrors } = await atDataset();
    const folder = await folderWith(await pairsOf(1));
    await mkdir(join(folder, 'deep', 'deeper'), { recursive: true });
    // More than the 100 entries that Chromium returns per read.
    const names = Array.from({ length: 120 }, (_, index) => `caption ${index}.txt`);
    await Promise.all(names.map((name) => writeFile(join(folder, 'deep', 'deeper', name), name)));
    const data = { items: [], files: [folder], dragOperationsMask: 1 };
    const devtools = await context.newCDPSession(page);
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
      await devtools.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
    }
    await dockOf(page).getByText('122 files uploaded').waitFor();
    expect((await site.api.filenames(id)).sort()).toEqual(['01.jpg', '01.txt', ...names].sort());
    expect(browserErrors).toEqual([]);
  });

  test('files dropped onto the list become a new dataset after a name is given', async () => {
    const { page, browserErrors } = await site.open();
    await page.getByRole('button', { name: 'New dataset' }).first().waitFor();
    const dataTransfer = await transferOf(page, [bytesOf('a.jpg', await media.jpeg()), bytesOf('a.doc', 'no')]);
    await page.dispatchEvent('body', 'drop', { dataTransfer });
    const dialog = page.getByRole('dialog');
    await dialog.getByText('a.doc').first().waitFor();
    await dialog.getByLabel('Name').fill('dropped');
    await dialog.getByRole('button', { name: 'Create and upload 1 file' }).click();
    await page.getByRole('heading', { name: 'dropped' }).waitFor();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    const made = (await site.api.list()).body.datasets.find(({ name }) => name === 'dropped');
    expect(await site.api.filenames(made!.id)).toEqual(['a.jpg']);
    expect(browserErrors).toEqual([]);
  });

  test('a folder picked on the list becomes a new dataset, and its name is suggested in a valid form', async () => {
    await site.api.newDataset('red-wagons');
    const { page } = await site.open();
    // The dialog opens before the names of the datasets have arrived.
    let answerList = () => {};
    const isAwaited = new Promise<void>((resolve) => {
      answerList = resolve;
    });
    await page.route(/\/datasets$/, async (route) => {
      await isAwaited;
      await route.continue();
    });
    await page.reload();
    await page.locator(FOLDER).setInputFiles(await folderWith(await pairsOf(1), 'red&wagons'));
    const field = page.getByRole('dialog').getByLabel('Name');
    await field.waitFor();
    expect(await field.inputValue()).toBe('red-wagons');
    answerList();
    await expect.poll(() => field.inputValue()).toBe('red-wagons 2');
    await page.getByRole('button', { name: 'Create and upload 2 files' }).click();
    await dockOf(page).getByText('2 files uploaded').waitFor();
  });

  describe('with names that exist', () => {
    const files = [
      bytesOf('new.txt', 'new'),
      bytesOf('same.txt', 'the same'),
      bytesOf('a.txt', 'after'),
      bytesOf('b.txt', 'after it'),
    ];
    const addExisting = async () => {
      const visited = await atDataset({ 'same.txt': 'the same', 'a.txt': 'before', 'b.txt': 'as it was' });
      await visited.page.locator(FILES).setInputFiles(files);
      const dialog = visited.page.getByRole('dialog', { name: 'Overwrite 2 files?' });
      await dialog.getByText('1 file skipped: already in the dataset, with the same bytes.').waitFor();
      const names = dialog.getByRole('list', { name: 'Files to overwrite' }).getByRole('listitem');
      expect(await names.allTextContents()).toEqual(['a.txt', 'b.txt']);
      const textOf = async (name: string) => (await site.api.raw('GET', `/${visited.id}/files/${name}`)).text();
      return { ...visited, dialog, textOf };
    };

    test('overwrites them all after one question', async () => {
      const { page, dialog, textOf, sends, browserErrors } = await addExisting();
      await dialog.getByRole('button', { name: 'Overwrite, and upload all 3 files' }).click();
      await dockOf(page).getByText('3 files uploaded').waitFor();
      expect(await textOf('a.txt')).toBe('after');
      expect(await textOf('b.txt')).toBe('after it');
      expect(sends).toHaveLength(3);
      expect(browserErrors).toEqual([]);
    });

    test('or skips them', async () => {
      const { page, id, dialog, textOf } = await addExisting();
      await dialog.getByRole('button', { name: 'Skip existing files' }).click();
      await dockOf(page).getByText('1 file uploaded').waitFor();
      expect(await textOf('a.txt')).toBe('before');
      expect(await site.api.filenames(id)).toContain('new.txt');
    });

    test('or uploads nothing', async () => {
      const { page, id, dialog, sends } = await addExisting();
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.locator(FILES).setInputFiles([bytesOf('same.txt', 'the same')]);
      await page.getByRole('dialog', { name: 'Nothing to upload' }).waitFor();
      expect(sends).toEqual([]);
      expect(await site.api.filenames(id)).not.toContain('new.txt');
    });
  });

  test('bad names and empty files are rejected before a byte is sent, and the others can be uploaded', async () => {
    const { page, id, browserErrors, sends } = await atDataset();
    const folder = await folderWith({ 'good.jpg': await media.jpeg(), 'notes.docx': 'x', 'empty.png': '' });
    await mkdir(join(folder, 'other'));
    await writeFile(join(folder, 'other', 'same.txt'), 'one');
    await writeFile(join(folder, 'same.txt'), 'two');
    await page.locator(FOLDER).setInputFiles(folder);
    const dialog = page.getByRole('dialog', { name: "Some files can't be uploaded" });
    await dialog.getByText("4 files can't be uploaded").waitFor();
    await dialog.getByText('"notes.docx" is not an image').waitFor();
    await dialog.getByText('It is empty').waitFor();
    expect(await dialog.getByText('2 files would be named same.txt').count()).toBe(2);
    expect(sends).toEqual([]);
    await dialog.getByRole('button', { name: 'Upload 1 file' }).click();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    expect(await site.api.filenames(id)).toEqual(['good.jpg']);
    expect(sends).toHaveLength(1);
    expect(browserErrors).toEqual([]);
  });
});
