import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { folderWith } from '../../harness/folder.js';
import { type ZipEntry, zipOf } from '../../hostile/zip.js';
import { datasetWith } from '../linked-datasets.js';
import { bytesOf, dockOf, failureOf, FOLDER, sendsOf, transferOf } from './drop-files.js';

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
    const dataTransfer = await transferOf(page, [bytesOf('from civitai.zip', zip)]);
    await page.dispatchEvent('body', 'drop', { dataTransfer });
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
    const id = await datasetWith(site.api, {
      ...{ '1.jpg': await media.jpeg({ seed: 1 }), '1.txt': 'my own words' },
      ...{ '2.jpg': await media.jpeg({ seed: 2 }), '3.jpg': await media.jpeg({ seed: 3 }), '3.txt': 'three' },
    });
    const { page } = await site.open(`/datasets/${id}`);
    await page.getByRole('button', { name: 'Add', exact: true }).waitFor();
    const csv = 'file_name,text\r\n"1.jpg","theirs"\r\n"2.jpg","two"\r\n"3.jpg","three"\r\n"4.jpg","gone"\r\n';
    const dataTransfer = await transferOf(page, [bytesOf('captions.csv', Buffer.from(csv))]);
    await page.dispatchEvent('body', 'drop', { dataTransfer });
    const dialog = page.getByRole('dialog');
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
    const dataTransfer = await transferOf(page, [bytesOf('page.zip', '<html>')]);
    await page.dispatchEvent('body', 'drop', { dataTransfer });
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
